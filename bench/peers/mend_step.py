#!/usr/bin/env python3
"""MEND training steps in PyTorch against the native engine: same weights, same ids, taking turns.

Needs torch 2.10, transformers 5 and safetensors, and the native driver (cmake -DSEPROG_BENCH=ON, target seprog_step).
The PyTorch side is what a careful user writes: Hugging Face modules with eager attention, δ by autograd.grad at the outputs
of the edited matrices, batched statistics, functional_call on the edited weights, clip_grad_norm_, Adam in two groups. Both
sides must agree on every loss and on the gradient norm.

  OMP_WAIT_POLICY=passive python3 bench/peers/mend_step.py --shape t5-small --threads 2
"""
from taking_turns import (CONFIGS, Clip, EpisodeFile, answer_lines, arguments, compare, edited_names, load_base,
                          read_task)


def serve(folder, fused, matmul):
    """The PyTorch side: answers the same lines as the native driver."""
    import torch
    import torch.nn.functional as F
    from safetensors.torch import load_file
    from torch.func import functional_call

    task = read_task(folder, matmul)
    spec = task["spec"]
    base = load_base(folder, task).requires_grad_(False)
    names = edited_names(task["config"])
    linears = [base.get_submodule(name) for name in names]
    for linear in linears:
        linear.weight.requires_grad_(True)  # so that its output is part of a graph; its own gradient is never asked for
    weights = [linear.weight.detach() for linear in linears]

    shapes = [(w.shape[1], w.shape[0]) for w in weights]
    groups = sorted(set(shapes))
    modes = [shapes[:i].count(shape) for i, shape in enumerate(shapes)]
    editor = {name: torch.nn.Parameter(tensor) for name, tensor in load_file(f"{folder}/editor.safetensors").items()
              if not name.startswith("stats")}

    def network(x, shape, mode):
        for block in (f"net{shape[0]}x{shape[1]}.block{i}." for i in (1, 2)):
            t = F.linear(F.linear(x, editor[block + "V"]), editor[block + "U"], editor[block + "b"])
            x = x + torch.clamp_min(editor[block + "s"][mode] * t + editor[block + "o"][mode], 0)
        return x

    known = {shape: None for shape in groups}  # count, mean, sum of squared deviations of (u, δ)

    def learn(shape, rows):
        n, mean = len(rows), rows.mean(0)
        squares = (rows - mean).square().sum(0)
        if known[shape] is not None:
            k, m, s = known[shape]
            apart = mean - m
            mean, squares = m + apart * (n / (k + n)), s + squares + apart.square() * (k * n / (k + n))
            n += k
        known[shape] = n, mean, squares
        return mean, (squares / (n - 1)).sqrt() + 1e-7

    config = base.config
    episode = EpisodeFile(folder, config.pad_token_id)
    edit, inside, outside = (episode.batch(source, target, config.decoder_start_token_id)
                             for source, target in (("edit", "editTarget"), ("in", "target"), ("out", "outTarget")))
    optimizer = torch.optim.Adam([
        dict(params=[p for name, p in editor.items() if name != "alpha"], lr=1e-4),
        dict(params=[editor["alpha"]], lr=spec["alphaLearningRate"])], fused=fused or None)
    clip = Clip(editor.values(), spec["clipNorm"])

    def factors():
        seen = {}

        def keep(name):
            def hook(module, inputs, output):
                seen[name] = inputs[0].detach(), output
            return hook

        handles = [linear.register_forward_hook(keep(name)) for name, linear in zip(names, linears)]
        inputs, y, real = edit
        loss = F.cross_entropy(base(**inputs).logits[real], y[real])
        for handle in handles:
            handle.remove()
        deltas = torch.autograd.grad(loss, [seen[name][1] for name in names])
        return loss.item(), [(seen[name][0].flatten(0, -2), delta.flatten(0, -2)) for name, delta in zip(names, deltas)]

    def step():
        inner, pairs = factors()
        edited = {}
        for i, (u, delta) in enumerate(pairs):
            n = shapes[i][0]
            kept = (u != 0).any(1) & (delta != 0).any(1)
            x = torch.cat([u[kept], delta[kept]], 1)
            mean, deviation = learn(shapes[i], x)
            y = network((x - mean) / deviation, shapes[i], modes[i])
            edited[names[i] + ".weight"] = weights[i] - editor["alpha"][i] * (y[:, n:].T @ y[:, :n])
        del pairs
        inputs, y, real = inside
        edit_loss = F.cross_entropy(functional_call(base, edited, (), inputs).logits[real], y[real])
        inputs, y, real = outside
        with torch.no_grad():
            p = base(**inputs).logits[real].log_softmax(-1)
        q = functional_call(base, edited, (), inputs).logits[real].log_softmax(-1)
        locality_loss = (p.exp() * (p - q)).sum(-1).mean()
        loss = spec["cEdit"] * edit_loss + spec["cLoc"] * locality_loss
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = clip()
        optimizer.step()
        return dict(loss=loss.item(), editLoss=edit_loss.item(), localityLoss=locality_loss.item(), innerLoss=inner,
                    gradNorm=norm)

    answer_lines(step)


def main():
    parser = arguments(__doc__, CONFIGS, "t5-small", rounds=5, steps=1, threads=2)
    parser.add_argument("--keep", type=int, default=64, help="keepMiB of the native editor")
    parser.add_argument("--micro-batch", type=int, default=16)
    options = parser.parse_args()
    if options.serve:
        return serve(options.serve, options.fused, options.matmul)
    spec = dict(kind="mend", cEdit=0.1, cLoc=1.0, alphaLearningRate=1e-4, clipNorm=100, seed=1, keepMiB=options.keep,
                microBatch=options.micro_batch)
    compare(__file__, options, dict(config=CONFIGS[options.shape], spec=spec, text=4),
            agree=("loss", "editLoss", "localityLoss", "innerLoss", "gradNorm"),
            shown=dict(keepMiB=options.keep, microBatch=options.micro_batch))


if __name__ == "__main__":
    main()
