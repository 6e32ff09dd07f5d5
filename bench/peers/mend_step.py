#!/usr/bin/env python3
"""MEND training steps in PyTorch against the native engine: same weights, same ids, taking turns.

Needs torch 2.10, transformers 5 and safetensors, and the native driver (cmake -DSEPROG_BENCH=ON, target seprog_step).
The PyTorch side is what a careful user writes: Hugging Face modules with eager attention, δ by autograd.grad at the outputs
of the edited matrices, batched statistics, functional_call on the edited weights, clip_grad_norm_, Adam in two groups. Both
sides must agree on every loss and on the gradient norm.

  OMP_WAIT_POLICY=passive python3 bench/peers/mend_step.py --shape t5-small --threads 2
"""
import argparse
import json
import os
import statistics
import sys
import tempfile
import time

from seprog_step import SHAPES as T5_SHAPES
from seprog_step import Side, resident

BART_BASE = dict(d_model=768, encoder_attention_heads=12, decoder_attention_heads=12, encoder_ffn_dim=3072,
                 decoder_ffn_dim=3072, encoder_layers=6, decoder_layers=6, vocab_size=50265, max_position_embeddings=1024,
                 pad_token_id=1, eos_token_id=2, decoder_start_token_id=2, activation_function="gelu")
CONFIGS = {
    **{name: dict(model_type="t5", decoder_start_token_id=0, feed_forward_proj="relu", dropout_rate=0.0,
                  tie_word_embeddings=True, **shape) for name, shape in T5_SHAPES.items()},
    "bart-base": dict(model_type="bart", dropout=0.0, attention_dropout=0.0, activation_dropout=0.0, **BART_BASE),
}


def edited_names(config):
    if config["model_type"] == "t5":
        return [f"{stack}.block.{i}.layer.{layer}.DenseReluDense.{matrix}"
                for stack, blocks, layer in (("encoder", config["num_layers"], 1), ("decoder", config["num_decoder_layers"], 2))
                for i in (blocks - 2, blocks - 1) for matrix in ("wi", "wo")]
    return [f"model.{stack}.layers.{i}.{matrix}" for stack in ("encoder", "decoder")
            for i in (config[f"{stack}_layers"] - 2, config[f"{stack}_layers"] - 1) for matrix in ("fc1", "fc2")]


def serve(folder, fused, matmul):
    """The PyTorch side: answers the same lines as the native driver."""
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
    base = model_of(config).eval().requires_grad_(False)
    base.load_state_dict(load_file(f"{folder}/base/model.safetensors"), strict=False)
    base.tie_weights()
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
        dict(params=[p for name, p in editor.items() if name != "alpha"], lr=1e-4),
        dict(params=[editor["alpha"]], lr=spec["alphaLearningRate"])], fused=fused or None)
    before = resident("VmRSS")
    open("/proc/self/clear_refs", "w").write("5")

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
        norm = torch.nn.utils.clip_grad_norm_(editor.values(), spec["clipNorm"])
        optimizer.step()
        return dict(loss=loss.item(), editLoss=edit_loss.item(), localityLoss=locality_loss.item(), innerLoss=inner,
                    gradNorm=norm.item())

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
    parser.add_argument("--keep", type=int, default=64, help="keepMiB of the native editor")
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
            spec=dict(kind="mend", cEdit=0.1, cLoc=1.0, alphaLearningRate=1e-4, clipNorm=100, seed=1, keepMiB=options.keep,
                      microBatch=options.micro_batch),
            edits=options.edits, source=options.source, text=4, target=options.target,
            ragged=options.ragged, seed=1, threads=options.threads)
        json.dump(task, open(f"{folder}/task.json", "w"))
        sides = [Side([options.driver, folder])]
        if not options.native_only:
            sides.append(Side([sys.executable, __file__, "--serve", folder, "--matmul", options.matmul] +
                              (["--fused"] if options.fused else [])))
        first = [side.ask("step 1") for side in sides]
        for name in ("loss", "editLoss", "localityLoss", "innerLoss", "gradNorm"):
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
        shape=options.shape, edits=options.edits, ragged=options.ragged, threads=options.threads, keepMiB=options.keep,
        microBatch=options.micro_batch, fused=options.fused, matmul=options.matmul, steps=len(took[0]),
        firstLoss=[f["loss"] for f in first], firstGradNorm=[f["gradNorm"] for f in first],
        medianMs=pair(*map(statistics.median, took)), bestMs=pair(*map(min, took)),
        # Time on a core: on a busy machine the figure to look at.
        medianCpuMs=pair(*map(statistics.median, cpu)), grownMiB=pair(*grown),
        phasesMsAndPeakMiB=phases), indent=1))


if __name__ == "__main__":
    main()
