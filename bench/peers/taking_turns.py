"""What every comparison of a training step has in common: two processes that answer the same lines, asked in turn.

A side answers `step N` with the wall times of N steps, their mean CPU time and the figures of the last, and `memory` with
the resident bytes before the first step and the highest since. `phases` is asked of the native side alone.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

T5_SHAPES = {
    "t5-mini": dict(d_model=128, d_kv=32, d_ff=512, num_heads=4, num_layers=2, num_decoder_layers=2, vocab_size=4096),
    "t5-small": dict(d_model=512, d_kv=64, d_ff=2048, num_heads=8, num_layers=6, num_decoder_layers=6, vocab_size=32128),
    "t5-large": dict(d_model=1024, d_kv=64, d_ff=4096, num_heads=16, num_layers=24, num_decoder_layers=24, vocab_size=32128),
}
# The driver's rows end in id 1. Were it the pad id, as the hub has it, PyTorch would leave out that row's gradient.
BART_BASE = dict(d_model=768, encoder_attention_heads=12, decoder_attention_heads=12, encoder_ffn_dim=3072,
                 decoder_ffn_dim=3072, encoder_layers=6, decoder_layers=6, vocab_size=50265, max_position_embeddings=1024,
                 pad_token_id=0, eos_token_id=1, decoder_start_token_id=2, activation_function="gelu")
CONFIGS = {
    **{name: dict(model_type="t5", decoder_start_token_id=0, feed_forward_proj="relu", dropout_rate=0.0,
                  tie_word_embeddings=True, **shape) for name, shape in T5_SHAPES.items()},
    "bart-base": dict(model_type="bart", dropout=0.0, attention_dropout=0.0, activation_dropout=0.0, **BART_BASE),
    "distilgpt2": dict(model_type="gpt2", n_embd=768, n_layer=6, n_head=12, n_positions=1024, vocab_size=50257,
                       bos_token_id=50256, eos_token_id=50256, pad_token_id=50256, resid_pdrop=0.0, embd_pdrop=0.0,
                       attn_pdrop=0.0),
}


def arguments(description, shapes, shape, rounds, steps, threads):
    """The options of every comparison, with its own defaults."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--driver", default="build/native/native/seprog_step")
    parser.add_argument("--shape", choices=shapes, default=shape)
    parser.add_argument("--edits", type=int, default=64)
    parser.add_argument("--source", type=int, default=24)
    parser.add_argument("--target", type=int, default=8)
    parser.add_argument("--ragged", action="store_true", help="row lengths between a half and the whole")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--steps", type=int, default=steps, help="steps of a side before the other takes its turn")
    parser.add_argument("--threads", type=int, default=threads)
    parser.add_argument("--fused", action="store_true", help="PyTorch's fused Adam instead of its default")
    parser.add_argument("--matmul", choices=["highest", "medium"], default="highest",
                        help="PyTorch's float32 matmul precision; highest is its default; medium lets it take the "
                             "oneDNN kernels that the engine takes where they are exact")
    parser.add_argument("--native-only", action="store_true", help="for sizes where only one side fits")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    return parser


def resident(key):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(key))


def read_task(folder, matmul):
    """What the PyTorch side is to do, its threads and precision set."""
    import torch

    task = json.load(open(f"{folder}/task.json"))
    torch.set_num_threads(task["threads"])
    torch.set_float32_matmul_precision(matmul)
    return task


def load_base(folder, task, attention="eager"):
    """The base of a task as Hugging Face runs it: with plain attention, which has a second derivative, or the one named;
    with None its own choice."""
    import transformers
    from safetensors.torch import load_file

    family = {"t5": ("T5Config", "T5ForConditionalGeneration"), "bart": ("BartConfig", "BartForConditionalGeneration"),
              "gpt2": ("GPT2Config", "GPT2LMHeadModel")}
    config_of, model_of = (getattr(transformers, name) for name in family[task["config"]["model_type"]])
    config = config_of(**{k: v for k, v in task["config"].items() if k not in ("model_type", "architectures")})
    if attention is not None:
        config._attn_implementation = attention
    base = model_of(config).eval()
    base.load_state_dict(load_file(f"{folder}/base/model.safetensors"), strict=False)
    base.tie_weights()
    return base


class EpisodeFile:
    """Rows of episode.safetensors, padded on the right."""

    def __init__(self, folder, pad=0):
        from safetensors.torch import load_file

        self.table, self.pad = load_file(f"{folder}/episode.safetensors"), pad

    def rows(self, name):
        from torch import ones
        from torch.nn.utils.rnn import pad_sequence

        parts = self.table[f"{name}.ids"].long().split(self.table[f"{name}.lengths"].tolist())
        ids = pad_sequence(parts, batch_first=True, padding_value=self.pad)
        return ids, pad_sequence([ones(len(p)) for p in parts], batch_first=True)

    def batch(self, source, target, start):
        """Inputs of an encoder-decoder under teacher forcing, its targets and where they are real."""
        from torch import cat, full

        (ids, mask), (y, y_mask) = self.rows(source), self.rows(target)
        decoder = cat([full((len(y), 1), start), y[:, :-1]], 1)
        return dict(input_ids=ids, attention_mask=mask, decoder_input_ids=decoder, use_cache=False), y, y_mask.bool()


def edited_names(config):
    """The matrices that the gradient-based editors edit: feed-forward of the last two blocks of each stack."""
    if config["model_type"] == "t5":
        return [f"{stack}.block.{i}.layer.{layer}.DenseReluDense.{matrix}"
                for stack, blocks, layer in (("encoder", config["num_layers"], 1), ("decoder", config["num_decoder_layers"], 2))
                for i in (blocks - 2, blocks - 1) for matrix in ("wi", "wo")]
    return [f"model.{stack}.layers.{i}.{matrix}" for stack in ("encoder", "decoder")
            for i in (config[f"{stack}_layers"] - 2, config[f"{stack}_layers"] - 1) for matrix in ("fc1", "fc2")]


class Clip:
    """clip_grad_norm_; called, it gives the norm before. That of the first step, which the two sides must agree on, is
    summed in double: PyTorch sums the squares of a CPU tensor in fp32, and 19 million of them came out 1.3e-3 too low
    (SEPROG's prompt matrix on distilgpt2, where the engine's norm is within 2e-7 of a step all in double)."""

    def __init__(self, parameters, most):
        self.parameters, self.most, self.first = list(parameters), most, None

    def __call__(self):
        from torch.nn.utils import clip_grad_norm_

        exact = self.first is None
        if exact:
            # Piece by piece, so that no copy raises the peak.
            self.first = sum(piece.double().square().sum().item() for p in self.parameters if p.grad is not None
                             for piece in p.grad.flatten().split(2**20)) ** 0.5
        norm = clip_grad_norm_(self.parameters, self.most)
        return self.first if exact else norm.item()


def answer_lines(step):
    """The PyTorch side's loop; what stands in memory now is there before the first step."""
    before = resident("VmRSS")
    open("/proc/self/clear_refs", "w").write("5")
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


def compare(script, options, task, agree, shown, prepare=None, served=()):
    """Runs both sides in turn on a task and prints times and memory; the figures `agree` must be the same on both.

    `prepare` puts into the folder what both sides need there and gives what that changes in the task; `served` are further
    arguments of the PyTorch side.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    task = dict(edits=options.edits, source=options.source, target=options.target, ragged=options.ragged, seed=1,
                threads=options.threads, **task)
    with tempfile.TemporaryDirectory() as folder:
        task |= prepare(folder) if prepare else {}
        json.dump(task, open(f"{folder}/task.json", "w"))
        sides = [Side([options.driver, folder])]
        if not options.native_only:
            sides.append(Side([sys.executable, script, "--serve", folder, "--matmul", options.matmul] +
                              (["--fused"] if options.fused else []) + list(served)))
        first = [side.ask("step 1") for side in sides]
        for name in agree:
            ours, theirs = first[0][name], first[-1][name]
            if abs(ours - theirs) > 1e-3 * abs(theirs) + 1e-6:
                raise SystemExit(f"the two sides disagree on {name}: {ours} against {theirs}")
        # Without rounds the first step is the one that counts: for steps of many minutes.
        took = [list(f["ms"]) if options.rounds == 0 else [] for f in first]
        cpu = [[f["cpuMs"]] if options.rounds == 0 else [] for f in first]
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
        shape=options.shape, edits=options.edits, ragged=options.ragged, threads=options.threads, **shown,
        fused=options.fused, matmul=options.matmul, steps=len(took[0]),
        firstLoss=[f["loss"] for f in first], firstGradNorm=[f["gradNorm"] for f in first],
        medianMs=pair(*map(statistics.median, took)), bestMs=pair(*map(min, took)),
        # Time on a core: on a busy machine the figure to look at.
        medianCpuMs=pair(*map(statistics.median, cpu)), grownMiB=pair(*grown),
        phasesMsAndPeakMiB=phases), indent=1))
