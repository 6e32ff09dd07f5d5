#!/usr/bin/env python3
"""ENN training steps in PyTorch against the native engine: same weights, same ids, taking turns.

Needs torch 2.10, transformers 5 and safetensors, and the native driver (cmake -DSEPROG_BENCH=ON, target seprog_step).
The PyTorch side is what a careful user writes: Hugging Face modules with eager attention, the inner gradient for the edited
matrices alone with create_graph, functional_call on the edited weights, the logits of target tokens only in every loss, one
backward pass, clip_grad_norm_, Adam in two groups. Both sides must agree on every loss and on the gradient norm.

  OMP_WAIT_POLICY=passive python3 bench/peers/enn_step.py --shape t5-small --threads 2
"""
import argparse
import json
import os
import statistics
import sys
import tempfile
import time

from mend_step import CONFIGS as FROZEN_CONFIGS
from mend_step import edited_names
from seprog_step import Side, resident

# The driver's rows end in id 1. Were it the pad id, PyTorch would leave out that row's gradient.
CONFIGS = {**FROZEN_CONFIGS, "bart-base": {**FROZEN_CONFIGS["bart-base"], "pad_token_id": 0, "eos_token_id": 1}}


def serve(folder, fused, matmul):
    """The PyTorch side: answers the same lines as the native driver."""
    import copy

    import torch
    import torch.nn.functional as F
    from safetensors.torch import load_file
    from torch.func import functional_call
    from transformers import BartConfig, BartForConditionalGeneration, T5Config, T5ForConditionalGeneration

    task = json.load(open(f"{folder}/task.json"))
    torch.set_num_threads(task["threads"])
    torch.set_float32_matmul_precision(matmul)
    spec = task["spec"]
    family = {"t5": (T5Config, T5ForConditionalGeneration), "bart": (BartConfig, BartForConditionalGeneration)}
    config_of, model_of = family[task["config"]["model_type"]]
    config = config_of(**{k: v for k, v in task["config"].items() if k not in ("model_type", "architectures")})
    config._attn_implementation = "eager"
    model = model_of(config).eval()
    model.load_state_dict(load_file(f"{folder}/base/model.safetensors"), strict=False)
    model.tie_weights()
    original = copy.deepcopy(model).requires_grad_(False)
    names = [f"{name}.weight" for name in edited_names(task["config"])]
    weights = dict(model.named_parameters())
    rates = torch.nn.Parameter(load_file(f"{folder}/editor.safetensors")["innerRate"].clone())

    table = load_file(f"{folder}/episode.safetensors")
    pad, start = config.pad_token_id, config.decoder_start_token_id

    def rows(name):
        parts = table[f"{name}.ids"].long().split(table[f"{name}.lengths"].tolist())
        ids = torch.nn.utils.rnn.pad_sequence(parts, batch_first=True, padding_value=pad)
        return ids, torch.nn.utils.rnn.pad_sequence([torch.ones(len(p)) for p in parts], batch_first=True)

    def batch(source, target):
        (ids, mask), (y, y_mask) = rows(source), rows(target)
        decoder = torch.cat([torch.full((len(y), 1), start), y[:, :-1]], 1)
        return dict(input_ids=ids, attention_mask=mask, decoder_input_ids=decoder, use_cache=False), y, y_mask.bool()

    edit, inside, outside = batch("edit", "editTarget"), batch("in", "target"), batch("out", "outTarget")
    optimizer = torch.optim.Adam([
        dict(params=list(weights.values()), lr=1e-4),
        dict(params=[rates], lr=spec["innerRateLearningRate"])], fused=fused or None)
    before = resident("VmRSS")
    open("/proc/self/clear_refs", "w").write("5")

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
        norm = torch.nn.utils.clip_grad_norm_([*weights.values(), rates], spec["clipNorm"])
        optimizer.step()
        return dict(loss=loss.item(), editLoss=edit_loss.item(), localityLoss=locality_loss.item(),
                    baseLoss=base_loss.item(), innerLoss=inner.item(), gradNorm=norm.item())

    print(json.dumps(dict(ready=True)), flush=True)
    for line in sys.stdin:
        command, *rest = line.split()
        if command == "step":
            took, figures, cpu = [], {}, time.process_time()
            for _ in range(int(rest[0])):
                begin = time.perf_counter()
                figures = step()
                took.append((time.perf_counter() - begin) * 1e3)
            cpu = (time.process_time() - cpu) * 1e3 / len(took)
            print(json.dumps(dict(ms=took, cpuMs=cpu, **figures)), flush=True)
        elif command == "memory":
            print(json.dumps(dict(before=before, peak=resident("VmHWM"))), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--driver", default="build/native/native/seprog_step")
    parser.add_argument("--shape", choices=CONFIGS, default="t5-small")
    parser.add_argument("--edits", type=int, default=64)
    parser.add_argument("--source", type=int, default=24)
    parser.add_argument("--target", type=int, default=8)
    parser.add_argument("--ragged", action="store_true", help="row lengths between a half and the whole")
    parser.add_argument("--hypergradient", choices=["two_stage", "create_graph"], default="two_stage",
                        help="of the native editor")
    parser.add_argument("--micro-batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=1, help="steps of a side before the other takes its turn")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--fused", action="store_true", help="PyTorch's fused Adam instead of its default")
    parser.add_argument("--matmul", choices=["highest", "medium"], default="highest",
                        help="PyTorch's float32 matmul precision; highest is its default")
    parser.add_argument("--native-only", action="store_true", help="for sizes where only one side fits")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return serve(options.serve, options.fused, options.matmul)

    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        task = dict(
            config=CONFIGS[options.shape],
            spec=dict(kind="enn", cEdit=0.1, cLoc=1.0, cBase=1.0, innerRate=0.01, innerRateLearningRate=1e-3, clipNorm=100,
                      seed=1, microBatch=options.micro_batch, hypergradient=options.hypergradient),
            edits=options.edits, source=options.source, text=4, target=options.target,
            ragged=options.ragged, seed=1, threads=options.threads)
        json.dump(task, open(f"{folder}/task.json", "w"))
        sides = [Side([options.driver, folder])]
        if not options.native_only:
            sides.append(Side([sys.executable, __file__, "--serve", folder, "--matmul", options.matmul] +
                              (["--fused"] if options.fused else [])))
        first = [side.ask("step 1") for side in sides]
        for name in ("loss", "editLoss", "localityLoss", "baseLoss", "innerLoss", "gradNorm"):
            ours, theirs = first[0][name], first[-1][name]
            if abs(ours - theirs) > 1e-3 * abs(theirs) + 1e-6:
                raise SystemExit(f"the two sides disagree on {name}: {ours} against {theirs}")
        took, cpu = [[] for _ in sides], [[] for _ in sides]
        for _ in range(options.rounds):
            for side, times, cpus in zip(sides, took, cpu):
                answer = side.ask(f"step {options.steps}")
                times += answer["ms"]
                cpus.append(answer["cpuMs"])
        memory = [side.ask("memory") for side in sides]
        phases = sides[0].ask("phases")
        for side in sides[1:]:
            side.close()
    grown = [(m["peak"] - m["before"]) / 2**20 for m in memory]

    def pair(native, pytorch=None):
        if pytorch is None:
            return dict(native=round(native, 2))
        return dict(native=round(native, 2), pytorch=round(pytorch, 2), ratio=round(native / pytorch, 3))

    print(json.dumps(dict(
        shape=options.shape, edits=options.edits, ragged=options.ragged, threads=options.threads,
        hypergradient=options.hypergradient, microBatch=options.micro_batch, fused=options.fused, matmul=options.matmul, steps=len(took[0]),
        firstLoss=[f["loss"] for f in first], firstGradNorm=[f["gradNorm"] for f in first],
        medianMs=pair(*map(statistics.median, took)), bestMs=pair(*map(min, took)),
        # Time on a core: on a busy machine the figure to look at.
        medianCpuMs=pair(*map(statistics.median, cpu)), grownMiB=pair(*grown),
        phasesMsAndPeakMiB=phases), indent=1))


if __name__ == "__main__":
    main()
