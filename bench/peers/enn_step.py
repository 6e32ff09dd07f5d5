#!/usr/bin/env python3
"""ENN training steps in PyTorch against the native engine: same weights, same ids, taking turns.

Needs torch 2.10, transformers 5 and safetensors, and the native driver (cmake -DSEPROG_BENCH=ON, target seprog_step).
The PyTorch side is what a careful user writes: Hugging Face modules with eager attention, the inner gradient for the edited
matrices alone with create_graph, functional_call on the edited weights, the logits of target tokens only in every loss, one
backward pass, clip_grad_norm_, Adam in two groups. Both sides must agree on every loss and on the gradient norm.

  OMP_WAIT_POLICY=passive python3 bench/peers/enn_step.py --shape t5-small --threads 2
"""
from taking_turns import (CONFIGS, Clip, EpisodeFile, answer_lines, arguments, compare, edited_names, load_base,
                          read_task)


def serve(folder, fused, matmul):
    """The PyTorch side: answers the same lines as the native driver."""
    import copy

    import torch
    import torch.nn.functional as F
    from safetensors.torch import load_file
    from torch.func import functional_call

    task = read_task(folder, matmul)
    spec = task["spec"]
    model = load_base(folder, task)
    original = copy.deepcopy(model).requires_grad_(False)
    names = [f"{name}.weight" for name in edited_names(task["config"])]
    weights = dict(model.named_parameters())
    rates = torch.nn.Parameter(load_file(f"{folder}/editor.safetensors")["innerRate"].clone())

    config = model.config
    episode = EpisodeFile(folder, config.pad_token_id)
    edit, inside, outside = (episode.batch(source, target, config.decoder_start_token_id)
                             for source, target in (("edit", "editTarget"), ("in", "target"), ("out", "outTarget")))
    optimizer = torch.optim.Adam([
        dict(params=list(weights.values()), lr=1e-4),
        dict(params=[rates], lr=spec["innerRateLearningRate"])], fused=fused or None)
    clip = Clip([*weights.values(), rates], spec["clipNorm"])

    def divergence(p, q):
        return (p.exp() * (p - q)).sum(-1).mean()

    def step():
        inputs, y, real = edit
        inner = F.cross_entropy(model(**inputs).logits[real], y[real])
        gradients = torch.autograd.grad(inner, [weights[name] for name in names], create_graph=True)
        edited = {name: weights[name] - rate * g for name, rate, g in zip(names, rates, gradients)}
        inputs, y, real = inside
        edit_loss = F.cross_entropy(functional_call(model, edited, (), inputs).logits[real], y[real])
        inputs, y, real = outside
        with torch.no_grad():
            loaded = original(**inputs).logits[real].log_softmax(-1)
        trained = model(**inputs).logits[real].log_softmax(-1)
        base_loss = divergence(loaded, trained)
        locality_loss = divergence(trained.detach(), functional_call(model, edited, (), inputs).logits[real].log_softmax(-1))
        loss = spec["cEdit"] * edit_loss + spec["cLoc"] * locality_loss + spec["cBase"] * base_loss
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = clip()
        optimizer.step()
        return dict(loss=loss.item(), editLoss=edit_loss.item(), localityLoss=locality_loss.item(),
                    baseLoss=base_loss.item(), innerLoss=inner.item(), gradNorm=norm)

    answer_lines(step)


def main():
    parser = arguments(__doc__, CONFIGS, "t5-small", rounds=5, steps=1, threads=2)
    parser.add_argument("--hypergradient", choices=["two_stage", "create_graph"], default="two_stage",
                        help="of the native editor")
    parser.add_argument("--micro-batch", type=int, default=16)
    options = parser.parse_args()
    if options.serve:
        return serve(options.serve, options.fused, options.matmul)
    spec = dict(kind="enn", cEdit=0.1, cLoc=1.0, cBase=1.0, innerRate=0.01, innerRateLearningRate=1e-3, clipNorm=100, seed=1,
                microBatch=options.micro_batch, hypergradient=options.hypergradient)
    compare(__file__, options, dict(config=CONFIGS[options.shape], spec=spec, text=4),
            agree=("loss", "editLoss", "localityLoss", "baseLoss", "innerLoss", "gradNorm"),
            shown=dict(hypergradient=options.hypergradient, microBatch=options.micro_batch))


if __name__ == "__main__":
    main()
