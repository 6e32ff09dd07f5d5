#!/usr/bin/env python3
"""SEPROG training steps in PyTorch against the native engine: same weights, same ids, taking turns.

Needs torch 2.10, transformers 5 and safetensors, and the native driver (cmake -DSEPROG_BENCH=ON, target seprog_step).
The PyTorch side is what a careful user writes: Hugging Face T5 modules, the base encoded without a graph, the head on
target rows only, clip_grad_norm_, Adam (fused where asked). Both sides must agree on loss and gradient norm.

  OMP_WAIT_POLICY=passive python3 bench/peers/seprog_step.py --shape t5-mini --prompt 8
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

SHAPES = {
    "t5-mini": dict(d_model=128, d_kv=32, d_ff=512, num_heads=4, num_layers=2, num_decoder_layers=2, vocab_size=4096),
    "t5-small": dict(d_model=512, d_kv=64, d_ff=2048, num_heads=8, num_layers=6, num_decoder_layers=6, vocab_size=32128),
}
WIDTHS = {"t5-mini": 256, "t5-small": 768}


def resident(key):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(key))


def serve(folder, fused, matmul):
    """The PyTorch side: answers the same lines as the native driver."""
    import torch
    import torch.nn.functional as F
    from safetensors.torch import load_file
    from transformers import T5Config, T5EncoderModel, T5ForConditionalGeneration

    task = json.load(open(f"{folder}/task.json"))
    torch.set_num_threads(task["threads"])
    torch.set_float32_matmul_precision(matmul)
    spec, K = task["spec"], task["edits"]
    config = T5Config(**{k: v for k, v in task["config"].items() if k not in ("model_type", "architectures")})
    base = T5ForConditionalGeneration(config).eval().requires_grad_(False)
    base.load_state_dict(load_file(f"{folder}/base/model.safetensors"), strict=False)
    base.tie_weights()

    class Seprog(torch.nn.Module):
        def __init__(self):
            super().__init__()
            h, d = spec["hiddenWidth"], config.d_model
            self.edit_encoder = T5EncoderModel(config)
            self.W_o, self.b_o = torch.nn.Parameter(torch.empty(h, d)), torch.nn.Parameter(torch.empty(h))
            self.W_att = torch.nn.Parameter(torch.empty(h, d))
            linear = torch.nn.Linear
            self.NN_e = torch.nn.ModuleList([linear(h + d, h), linear(h, h), linear(h, 1)])
            self.NN_prompt = torch.nn.ModuleList([linear(h, h), linear(h, spec["promptLength"] * d)])

        def edits(self, ids, mask):
            states = self.edit_encoder(input_ids=ids, attention_mask=mask).last_hidden_state
            return F.linear(pool(states, mask), self.W_o, self.b_o)

        def select(self, b, H_e):
            alpha = (F.linear(b, self.W_att) @ H_e.T / spec["hiddenWidth"] ** 0.5).softmax(-1)
            return alpha @ H_e

        def scope(self, h, b):
            x = torch.cat([h, b], -1)
            return self.NN_e[2](F.relu(self.NN_e[1](F.relu(self.NN_e[0](x))))).squeeze(-1)

        def prompts(self, h):
            return self.NN_prompt[1](F.relu(self.NN_prompt[0](h))).view(len(h), spec["promptLength"], -1)

    def pool(states, mask):
        return (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)

    editor = Seprog()
    missing, unexpected = editor.load_state_dict(load_file(f"{folder}/editor.safetensors"), strict=False)
    assert not unexpected and all("embed_tokens" in name for name in missing), (missing, unexpected)
    editor.edit_encoder.tie_weights()
    table = load_file(f"{folder}/episode.safetensors")

    def rows(name):
        parts = table[f"{name}.ids"].long().split(table[f"{name}.lengths"].tolist())
        ids = torch.nn.utils.rnn.pad_sequence(parts, batch_first=True)
        mask = torch.nn.utils.rnn.pad_sequence([torch.ones(len(p)) for p in parts], batch_first=True)
        return ids, mask

    (z, z_mask), (y, y_mask) = rows("text"), rows("target")
    width = max(int(table["in.lengths"].max()), int(table["out.lengths"].max()))
    x, x_mask = (torch.cat([F.pad(side, (0, width - side.shape[1])) for side in sides]) for sides in zip(rows("in"), rows("out")))
    optimizer = torch.optim.Adam(editor.parameters(), lr=1e-4, fused=fused or None)
    P, lam = spec["promptLength"], spec["lambda"]
    before = resident("VmRSS")
    open("/proc/self/clear_refs", "w").write("5")

    def step():
        H_e = editor.edits(z, z_mask)
        with torch.no_grad():
            states = base.encoder(input_ids=x, attention_mask=x_mask).last_hidden_state
            b = pool(states, x_mask)
        h = editor.select(b, H_e)
        logit = editor.scope(h, b)
        scope_loss = -F.logsigmoid(logit[:K]).mean() - F.logsigmoid(-logit[K:]).mean()
        shifted = torch.cat([torch.zeros(K, 1, dtype=torch.long), y[:, :-1]], 1)
        inputs = torch.cat([editor.prompts(h[:K]), base.shared(shifted)], 1)
        out = base.decoder(inputs_embeds=inputs, encoder_hidden_states=states[:K], encoder_attention_mask=x_mask[:K],
                           use_cache=False).last_hidden_state
        real = y_mask.bool()
        logits = base.lm_head(out[:, P:][real] * config.d_model**-0.5)
        prompt_loss = F.cross_entropy(logits, y[real])
        loss = lam * scope_loss + (1 - lam) * prompt_loss
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(editor.parameters(), spec["clipNorm"])
        optimizer.step()
        return dict(loss=loss.item(), scopeLoss=scope_loss.item(), promptLoss=prompt_loss.item(), gradNorm=norm.item())

    print(json.dumps(dict(ready=True)), flush=True)
    for line in sys.stdin:
        command, *rest = line.split()
        if command == "step":
            took, figures, cpu = [], {}, time.process_time()
            for _ in range(int(rest[0])):
                start = time.perf_counter()
                figures = step()
                took.append((time.perf_counter() - start) * 1e3)
            cpu = (time.process_time() - cpu) * 1e3 / len(took)
            print(json.dumps(dict(ms=took, cpuMs=cpu, **figures)), flush=True)
        elif command == "memory":
            print(json.dumps(dict(before=before, peak=resident("VmHWM"))), flush=True)


class Side:
    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args[0]} ended early")
        return json.loads(line)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--driver", default="build/native/native/seprog_step")
    parser.add_argument("--shape", choices=SHAPES, default="t5-mini")
    parser.add_argument("--prompt", type=int, default=32)
    parser.add_argument("--edits", type=int, default=64)
    parser.add_argument("--source", type=int, default=24)
    parser.add_argument("--target", type=int, default=8)
    parser.add_argument("--text", type=int, default=32)
    parser.add_argument("--ragged", action="store_true", help="row lengths between a half and the whole")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=3, help="steps of a side before the other takes its turn")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--fused", action="store_true", help="PyTorch's fused Adam instead of its default")
    parser.add_argument("--matmul", choices=["highest", "medium"], default="highest",
                        help="PyTorch's float32 matmul precision; highest is its default; medium lets it take the "
                             "oneDNN kernels that the engine takes where they are exact")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return serve(options.serve, options.fused, options.matmul)

    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        task = dict(
            config=dict(model_type="t5", decoder_start_token_id=0, feed_forward_proj="relu", dropout_rate=0.0,
                        tie_word_embeddings=True, **SHAPES[options.shape]),
            spec=dict(kind="seprog", promptLength=options.prompt, hiddenWidth=WIDTHS[options.shape], seed=1, clipNorm=5,
                      **{"lambda": 0.3}),
            edits=options.edits, source=options.source, text=options.text, target=options.target,
            ragged=options.ragged, seed=1, threads=options.threads)
        json.dump(task, open(f"{folder}/task.json", "w"))
        ours = Side([options.driver, folder])
        theirs = Side([sys.executable, __file__, "--serve", folder, "--matmul", options.matmul] +
                      (["--fused"] if options.fused else []))
        first = ours.ask("step 1"), theirs.ask("step 1")
        for name in ("loss", "scopeLoss", "promptLoss", "gradNorm"):
            a, b = first[0][name], first[1][name]
            if abs(a - b) > 1e-4 * max(1, abs(b)):
                raise SystemExit(f"the two sides disagree on {name}: {a} against {b}")
        took, cpu = ([], []), ([], [])
        for _ in range(options.rounds):
            for side, times, cpus in zip((ours, theirs), took, cpu):
                answer = side.ask(f"step {options.steps}")
                times += answer["ms"]
                cpus.append(answer["cpuMs"])
        memory = ours.ask("memory"), theirs.ask("memory")
        phases = ours.ask("phases")
        theirs.close()
    grown = [(m["peak"] - m["before"]) / 2**20 for m in memory]

    def pair(native, pytorch):
        return dict(native=round(native, 2), pytorch=round(pytorch, 2), ratio=round(native / pytorch, 3))

    print(json.dumps(dict(
        shape=options.shape, prompt=options.prompt, edits=options.edits, ragged=options.ragged, threads=options.threads,
        fused=options.fused, matmul=options.matmul, steps=len(took[0]), firstLoss=[f["loss"] for f in first],
        firstGradNorm=[f["gradNorm"] for f in first],
        medianMs=pair(*map(statistics.median, took)), bestMs=pair(*map(min, took)),
        # Time on a core: on a busy machine the figure to look at.
        medianCpuMs=pair(*map(statistics.median, cpu)), grownMiB=pair(*grown),
        phasesMsAndPeakMiB=phases), indent=1))


if __name__ == "__main__":
    main()
