#!/usr/bin/env python3
"""Greedy decoding against Hugging Face and CTranslate2: same random weights, same ids, taking turns.

Needs torch 2.10, transformers 5, safetensors, for CTranslate2 its package, and the native driver (cmake -DSEPROG_BENCH=ON,
target seprog_generate). Every side gets a batch of ids and gives the new ids: tokenizers are left out. No side stops early.
Ids must agree with Hugging Face's: a row counts as different only where the two likeliest tokens
of its first difference do not tie within 1e-3; CTranslate2's int8 is compared as well and only told of.

  OMP_WAIT_POLICY=passive python3 bench/peers/generate.py --shape t5-small --threads 2
"""
import argparse
import json
import os
import statistics
import sys
import tempfile
import time

from taking_turns import CONFIGS, Side, read_task

GPT2 = dict(model_type="gpt2", n_embd=768, n_head=12, n_layer=6, n_positions=1024, vocab_size=50257, bos_token_id=1,
            eos_token_id=1, pad_token_id=0, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
SHAPES = {name: CONFIGS[name] for name in ("t5-mini", "t5-small", "bart-base")} | {"distilgpt2": GPT2}
# The matrices of fresh weights are so small that the answer is one token for ever; these make it wander.
GAINS = {"t5-mini": 2.5, "t5-small": 2.5, "bart-base": 4.0, "distilgpt2": 4.0}
PEERS = ("hf", "hf-medium", "hf-compile", "ct2", "ct2-int8")


def sources(folder):
    from safetensors.torch import load_file

    table = load_file(f"{folder}/source.safetensors")
    return [part.tolist() for part in table["ids"].split(table["lengths"].tolist())]


def padded(rows, left):
    import torch

    width = max(map(len, rows))
    fill = [[0] * (width - len(row)) for row in rows]
    ids = [f + row if left else row + f for f, row in zip(fill, rows)]
    mask = [[0] * len(f) + [1] * len(row) if left else [1] * len(row) + [0] * len(f) for f, row in zip(fill, rows)]
    return torch.tensor(ids), torch.tensor(mask)


def hugging_face(folder, task, compiled):
    """What answers the batch with Hugging Face, and the model."""
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, GenerationConfig

    kind = task["config"]["model_type"]
    model = (AutoModelForCausalLM if kind == "gpt2" else AutoModelForSeq2SeqLM).from_pretrained(f"{folder}/base").eval()
    ids, mask = padded(sources(folder), left=kind == "gpt2")
    if compiled:
        model.forward = torch.compile(model.forward)
    start = None if kind == "gpt2" else task["config"]["decoder_start_token_id"]
    config = GenerationConfig(max_new_tokens=task["tokens"], do_sample=False, num_beams=1, eos_token_id=None, pad_token_id=0,
                              decoder_start_token_id=start, bos_token_id=None, forced_eos_token_id=None)

    def generate():
        with torch.no_grad():
            out = model.generate(ids, attention_mask=mask, generation_config=config)
        return dict(ids=out[:, -task["tokens"]:].flatten().tolist())
    return generate, model


class Words:
    """A vocabulary without texts, as CTranslate2's converter asks for it."""

    pad_token, bos_token, eos_token, unk_token = "0", "1", "1", "2"

    def __init__(self, size):
        self.size = size

    def get_vocab(self):
        return {str(i): i for i in range(self.size)}

    def convert_ids_to_tokens(self, i):
        return str(i)


def ctranslate2_side(folder, task, compute):
    import ctranslate2
    from ctranslate2.converters import TransformersConverter

    class Converter(TransformersConverter):
        def load_model(self, model_class, name, **options):
            model = super().load_model(model_class, name, **options)
            if task["config"]["model_type"] == "bart":
                model.config.normalize_before = False  # the converter asks for what transformers 5 no longer has
            return model

        def load_tokenizer(self, tokenizer_class, name, **options):
            return Words(task["config"]["vocab_size"])

    target = f"{folder}/{compute}"
    Converter(f"{folder}/base").convert(target, quantization="int8" if compute == "int8" else None, force=True)
    rows = [list(map(str, row)) for row in sources(folder)]
    options = dict(device="cpu", inter_threads=1, intra_threads=task["threads"], compute_type=compute)
    tokens = task["tokens"]
    if task["config"]["model_type"] == "gpt2":
        generator = ctranslate2.Generator(target, **options)

        def generate():
            found = generator.generate_batch(rows, max_length=tokens, sampling_topk=1, include_prompt_in_result=False,
                                             end_token=[], max_batch_size=0)
            return dict(ids=[i for row in found for i in row.sequences_ids[0]])
        return generate
    translator = ctranslate2.Translator(target, **options)

    def translate():
        found = translator.translate_batch(rows, beam_size=1, max_decoding_length=tokens, max_batch_size=0)
        return dict(ids=[int(i) for row in found for i in row.hypotheses[0]])
    return translate


def serve(folder, peer):
    task = read_task(folder, "medium" if peer == "hf-medium" else "highest")
    if peer.startswith("ct2"):
        answer = ctranslate2_side(folder, task, "int8" if peer == "ct2-int8" else "float32")
    else:
        answer, model = hugging_face(folder, task, peer == "hf-compile")
    print(json.dumps(dict(ready=True)), flush=True)
    for line in sys.stdin:
        command, *rest = line.split()
        if command == "step":
            took, found, cpu = [], {}, time.process_time()
            for _ in range(int(rest[0])):
                begin = time.perf_counter()
                found = answer()
                took.append((time.perf_counter() - begin) * 1e3)
            print(json.dumps(dict(ms=took, cpuMs=(time.process_time() - cpu) * 1e3 / len(took), **found)), flush=True)
        elif command == "ties":
            print(json.dumps(dict(different=real_differences(model, task, folder, json.loads(" ".join(rest))))), flush=True)


def real_differences(model, task, folder, pairs):
    """How many of the pairs (row, wanted ids, other ids) differ where Hugging Face's two best logits do not tie."""
    import torch

    rows, count = sources(folder), 0
    for row, wanted, other in pairs:
        same = next(t for t in range(len(wanted)) if wanted[t] != other[t])
        with torch.no_grad():
            if task["config"]["model_type"] == "gpt2":
                logits = model(input_ids=torch.tensor([rows[row] + wanted[:same]])).logits
            else:
                start = [task["config"]["decoder_start_token_id"]]
                logits = model(input_ids=torch.tensor([rows[row]]),
                               decoder_input_ids=torch.tensor([start + wanted[:same]])).logits
        last = logits[0, -1]
        count += bool((last[wanted[same]] - last[other[same]]).abs() > 1e-3 * last.abs().max())
    return count


def agreement(sides, first, task, ours):
    """Share of equal ids beside Hugging Face's, and how many rows differ without a tie."""
    reference = next(name for name in first if name.startswith("hf"))
    n, wanted = task["tokens"], first[reference]["ids"]
    out = {reference: dict(distinctIds=len(set(wanted)))}
    for name, answer in first.items():
        if name == reference:
            continue
        ids = answer["ids"]
        if len(ids) != len(wanted):
            raise SystemExit(f"{name} gave {len(ids)} tokens and {reference} {len(wanted)}")
        pairs = [(r, wanted[r * n:(r + 1) * n], ids[r * n:(r + 1) * n]) for r in range(task["rows"])]
        pairs = [pair for pair in pairs if pair[1] != pair[2]]
        different = sides[reference].ask("ties " + json.dumps(pairs))["different"] if pairs else 0
        out[name] = dict(rowsUnequal=len(pairs), rowsUnequalWithoutTie=different)
        if different and name in (ours, "ct2", "hf-medium", "hf-compile"):
            raise SystemExit(f"{name} disagrees with {reference} on {different} rows of {task['rows']}")
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--driver", default="build/native/native/seprog_generate")
    parser.add_argument("--shape", choices=SHAPES, default="t5-small")
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=["hf", "hf-medium", "ct2"])
    parser.add_argument("--base-dtype", nargs="*", default=["fp32"], help="of the native sides")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--source", type=int, default=24)
    parser.add_argument("--tokens", type=int, default=10)
    parser.add_argument("--ragged", action="store_true", help="row lengths between a half and the whole")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return serve(options.serve, options.peer)
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    task = dict(config=SHAPES[options.shape], gain=GAINS[options.shape], rows=options.rows,
                source=options.source, tokens=options.tokens, prompt=0, ragged=options.ragged, seed=1, threads=options.threads)
    with tempfile.TemporaryDirectory() as folder:
        json.dump(task, open(f"{folder}/task.json", "w"))
        sides = {f"native-{dtype}": Side([options.driver, folder, dtype]) for dtype in options.base_dtype}
        for peer in options.peers:
            sides[peer] = Side([sys.executable, __file__, "--serve", folder, "--peer", peer])
        first = {name: side.ask("step 1") for name, side in sides.items()}
        agree = agreement(sides, first, task, "native-fp32") if options.peers else None
        took, cpu = {name: [] for name in sides}, {name: [] for name in sides}
        for _ in range(options.rounds):
            for name, side in sides.items():
                answer = side.ask("step 1")
                took[name] += answer["ms"]
                cpu[name].append(answer["cpuMs"])
        phases = next(iter(sides.values())).ask("phases")
        for side in list(sides.values())[1:]:
            side.close()
    median = {name: statistics.median(times) for name, times in took.items()}
    cpu = {name: statistics.median(times) for name, times in cpu.items()}
    ours = next(iter(sides))
    print(json.dumps(dict(
        shape=options.shape, rows=options.rows, source=options.source, tokens=options.tokens, ragged=options.ragged,
        threads=options.threads, rounds=options.rounds, agreement=agree,
        rowsPerSecond={name: round(options.rows / ms * 1e3, 1) for name, ms in median.items()},
        medianCpuMs={name: round(ms, 1) for name, ms in cpu.items()},
        timesAsFast={name: round(ms / median[ours], 3) for name, ms in median.items()},
        # Time on a core: on a busy machine the figure to look at.
        timesAsFastByCpu={name: round(ms / cpu[ours], 3) for name, ms in cpu.items()},
        phasesMsAndPeakMiB=phases), indent=1))


if __name__ == "__main__":
    main()
