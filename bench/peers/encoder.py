#!/usr/bin/env python3
"""A BERT encoder with its classification head in PyTorch against the product: same weights, same ids, taking turns.

Needs torch 2.10, transformers 5 and safetensors, and the package built (npm run build). Hugging Face's model runs with its
own choice of attention under inference_mode, eagerly or with --compile through torch.compile. The product's side is Node
and its addon, as a user calls them (encoder_side.mjs). Both must give the same log-probabilities.

  OMP_WAIT_POLICY=passive python3 bench/peers/encoder.py --shape bert-base --threads 2
"""
import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from taking_turns import Side, answer_lines

SHAPES = {
    "bert-mini": dict(hidden_size=128, intermediate_size=512, num_hidden_layers=2, num_attention_heads=4),
    "bert-base": dict(),
}


def write_task(folder, options):
    """A random model in Hugging Face's layout, and a batch of ids."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(1)
    config = BertConfig(num_labels=2, **SHAPES[options.shape])
    BertForSequenceClassification(config).save_pretrained(folder)
    first = 1000  # behind the special ids
    rows = torch.randint(first, config.vocab_size, (options.batch, options.length)).tolist()
    json.dump(dict(rows=rows, threads=options.threads), open(f"{folder}/task.json", "w"))


def serve(folder, compiled):
    """The PyTorch side: answers the same lines as encoder_side.mjs."""
    import torch
    from transformers import BertForSequenceClassification

    task = json.load(open(f"{folder}/task.json"))
    torch.set_num_threads(task["threads"])
    model = BertForSequenceClassification.from_pretrained(folder).eval()
    run = torch.compile(model) if compiled else model
    ids = torch.tensor(task["rows"])
    mask = torch.ones_like(ids)

    @torch.inference_mode()
    def step():
        log_probs = run(input_ids=ids, attention_mask=mask).logits.log_softmax(-1)
        return dict(logProbs=log_probs[:, 0].tolist())

    answer_lines(step)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="bert-base")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--length", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=1, help="batches of a side before the other takes its turn")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true", help="Hugging Face's side through torch.compile")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return serve(options.serve, options.compile)
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        write_task(folder, options)
        theirs = [sys.executable, __file__, "--serve", folder, *(["--compile"] if options.compile else [])]
        sides = dict(native=Side(["node", str(Path(__file__).with_name("encoder_side.mjs")), folder]), pytorch=Side(theirs))
        first = {name: side.ask("step 1")["logProbs"] for name, side in sides.items()}
        largest = max(abs(a - b) for a, b in zip(first["native"], first["pytorch"], strict=True))
        if largest > 1e-4:
            raise SystemExit(f"the two sides disagree: log-probabilities differ by up to {largest}")
        wall, cpu = {name: [] for name in sides}, {name: [] for name in sides}
        for _ in range(options.rounds):
            for name, side in sides.items():
                answer = side.ask(f"step {options.steps}")
                wall[name] += answer["ms"]
                cpu[name].append(answer["cpuMs"])
        for side in sides.values():
            side.close()
    speed = {name: round(1e3 * options.batch / statistics.median(times), 2) for name, times in wall.items()}
    medians = {name: round(statistics.median(times), 2) for name, times in cpu.items()}
    print(json.dumps(dict(
        shape=options.shape, batch=options.batch, length=options.length, threads=options.threads, compiled=options.compile,
        largestDifference=largest, sequencesPerSecond=speed, medianCpuMs=medians,
        speedUp=dict(wall=round(speed["native"] / speed["pytorch"], 3),
                     cpu=round(medians["pytorch"] / medians["native"], 3))), indent=1))


if __name__ == "__main__":
    main()
