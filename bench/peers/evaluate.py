#!/usr/bin/env python3
"""The evaluation of CounterFact edits by the product against loops over Hugging Face: same weights, same episodes.

Needs torch 2.10, transformers 5, tokenizers and safetensors, and the package built (npm run build). For every episode of K
edits: ask the base every question, apply the edits, ask the edited model, where a question is answered freely (10 tokens,
natural stop) and scored under teacher forcing. An edit has five: its own, two clean rephrases, a noisy one, and a hard
out-of-scope one where the data have one, else a random one. The edit is one that both sides make alike: FT, a few steps of RMSprop on the feed-forward matrices of the
last two blocks, all K edits as one batch.

  product      `seprog-native bench` with drawn episodes and an empty cache (to draw them the base is asked about all 3,121
               test records; the loops get them for nothing): the whole command, with start-up, the divergence of the
               out-of-scope questions, one timed repetition of edit and answers, and the report; batches as it chooses them
  one record   the loop as EasyEdit has it: a call for an edit's own question, one for its rephrases, one for what is out of
               scope, before and after; no padding
  batches      the same loop with batches of 64 questions

The loops tokenise, generate and run a forward pass for the scores, and read models from memory. They take as long for every
episode; so they may be given fewer edits than the product, and figures are by edit. The product's answers are checked
against theirs.

  OMP_WAIT_POLICY=passive python3 bench/peers/evaluate.py --edits 1024 --one-record-edits 64 --batches-edits 128
"""
import argparse
import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from taking_turns import CONFIGS, T5_SHAPES, Side, edited_names

ROOT = Path(__file__).resolve().parents[2]
MAX_NEW_TOKENS = 10
MAX_TOKENS = 32  # the product's default for questions and answers
LEARNING_RATE = 1e-4


def write_model(folder, shape):
    """Random weights, and t5-mini's tokenizer with pieces that occur in no text, so that every id can be read."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(1)
    config = {k: v for k, v in CONFIGS[shape].items() if k != "model_type"}
    T5ForConditionalGeneration(T5Config(**config)).save_pretrained(folder)
    tokenizer = json.loads((ROOT / "assets/models/t5-mini/tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    lowest = min(score for _, score in vocabulary) - 100
    vocabulary += [[f"\u2581\u27e8{i}\u27e9", lowest] for i in range(len(vocabulary), config["vocab_size"])]
    Path(folder, "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False))


def write_suite(path, model, options):
    """JSON is YAML."""
    path.write_text(json.dumps(dict(
        schemaVersion=1, name="peers", datasets=[dict(name="counterfact", model=model)], k=[options.k], seeds=[0],
        methods=dict(ft=dict(editor=dict(kind="ft", maxSteps=options.max_steps, editLearningRate=LEARNING_RATE))),
        evaluation=dict(maxEdits=options.edits, minEpisodes=1, rephrasesPerEdit=2, outScope=dict(hardShare=1),
                        maxNewTokens=MAX_NEW_TOKENS, timing=dict(warmUps=0, repetitions=1)))))


def children_cpu_ms():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1e3 * (used.ru_utime + used.ru_stime)


def start_product(folder, suite, threads):
    """A run with nothing kept from before but its episodes, where there are some."""
    cache = Path(folder, "cache")
    for old in (Path(folder, "run/cells"), cache):
        shutil.rmtree(old, ignore_errors=True)
    return subprocess.Popen(["node", ROOT / "bin/seprog-native.mjs", "bench", "--fresh", "--suite", suite, "--out",
                             Path(folder, "run"), "--threads", str(threads)], env=os.environ | {"SEPROG_CACHE": str(cache)},
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def draw_episodes(folder, suite, threads):
    """Stops a run as soon as it has drawn its episodes."""
    run = start_product(folder, suite, threads)
    while run.poll() is None and not list(Path(folder, "run/episodes").glob("*.jsonl")):
        time.sleep(0.1)
    if run.poll() is None:
        run.send_signal(signal.SIGINT)
    output, _ = run.communicate()
    if not list(Path(folder, "run/episodes").glob("*.jsonl")):
        raise SystemExit(f"seprog-native bench failed:\n{output}")


def run_product(folder, suite, threads):
    cpu, wall = children_cpu_ms(), time.perf_counter()
    run = start_product(folder, suite, threads)
    output, _ = run.communicate()
    if run.returncode != 0:
        raise SystemExit(f"seprog-native bench failed:\n{output}")
    took = dict(wallMs=1e3 * (time.perf_counter() - wall), cpuMs=children_cpu_ms() - cpu)
    return took | dict(edits=len(product_records(folder)))


def read_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def only(paths):
    (path,) = paths
    return path


def product_records(folder):
    return read_lines(only(Path(folder, "run/cells").glob("*/edits.jsonl")))


def product_answers(folder):
    """(episode, edit, group, position) -> what the product recorded."""
    answers = {}
    for line in product_records(folder):
        probes = dict(self=[line["self"]], **{group: line[group] for group in ("inScope", "noisy", "outScope", "hard")})
        for group, asked in probes.items():
            for i, probe in enumerate(asked):
                answers[line["episode"], line["edit"], group, i] = probe
    return answers


def questions_of(episode):
    """[edit, group, position, question, answer] of an episode, those of one edit together."""
    found = []
    for i, edit in enumerate(episode["edits"]):
        found.append([i, "self", 0, edit["x_e"], edit["y_e"]])
        for group, kind in (("inScope", "rephrase"), ("noisy", "noisy")):
            pairs = [pair for pair in episode["inScope"] if pair["editIndex"] == i and pair["kind"] == kind]
            found += [[i, group, at, pair["x"], pair["y"]] for at, pair in enumerate(pairs)]
        outside = episode["outScope"][i]
        group = "hard" if outside["kind"] == "hard" else "outScope"
        found.append([i, group, 0, outside["x"], [*outside["y_gold"], ""][0]])
    return found


def pieces(questions, batch):
    """What is asked with one call: so many questions, or those of one kind about one edit."""
    if batch > 0:
        return [questions[i:i + batch] for i in range(0, len(questions), batch)]
    kinds = dict(self="self", inScope="rephrase", noisy="rephrase", outScope="outside", hard="outside")
    together = {}
    for question in questions:
        together.setdefault((question[0], kinds[question[1]]), []).append(question)
    return list(together.values())


def serve(folder):
    """Hugging Face's side. "loop BATCH FIRST COUNT MAXSTEPS" goes over episodes; BATCH 0 is one record at a time."""
    import torch
    import torch.nn.functional as F
    from transformers import PreTrainedTokenizerFast, T5ForConditionalGeneration

    task = json.load(open(f"{folder}/task.json"))
    torch.set_num_threads(task["threads"])
    model = T5ForConditionalGeneration.from_pretrained(f"{folder}/model").eval().requires_grad_(False)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=f"{folder}/model/tokenizer.json", pad_token="<pad>", eos_token="</s>",
                                        clean_up_tokenization_spaces=False, model_max_length=MAX_TOKENS)
    weights = dict(model.named_parameters())
    edited = [weights[f"{name}.weight"] for name in edited_names(task["config"])]
    episodes = read_lines(only(Path(folder, "run/episodes").glob("*")))[1:]

    def rows(texts):
        return tokenizer(texts, padding=True, truncation=True, return_tensors="pt", return_token_type_ids=False)

    def forward(inputs, targets):
        real = targets["attention_mask"].bool()
        labels = targets["input_ids"].masked_fill(~real, -100)
        return model(**inputs, labels=labels).logits, targets["input_ids"], real

    @torch.no_grad()
    def ask(questions, batch):
        answers = []
        for piece in pieces(questions, batch):
            inputs = rows([question[3] for question in piece])
            generated = model.generate(**inputs, max_new_tokens=MAX_NEW_TOKENS, do_sample=False, num_beams=1)
            texts = tokenizer.batch_decode(generated, skip_special_tokens=True)
            logits, y, real = forward(inputs, rows([question[4] for question in piece]))
            nll = -logits.log_softmax(-1).gather(-1, y[..., None])[..., 0].masked_fill(~real, 0).sum(1)
            right = ((logits.argmax(-1) == y) | ~real).all(1)
            answers += [[*question[:3], *rest] for question, *rest in zip(piece, texts, nll.tolist(), right.tolist())]
        return answers

    def edit(episode, max_steps):
        inputs, targets = (rows([one[side] for one in episode["edits"]]) for side in ("x_e", "y_e"))
        optimizer = torch.optim.RMSprop(edited, lr=LEARNING_RATE, alpha=0.99, eps=1e-8)
        for weight in edited:
            weight.requires_grad_(True)
        for _ in range(max_steps):
            logits, y, real = forward(inputs, targets)
            if ((logits.argmax(-1) == y) | ~real).all():
                break
            loss = F.cross_entropy(logits[real], y[real])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(edited, 100)
            optimizer.step()
        for weight in edited:
            weight.requires_grad_(False)
            weight.grad = None

    def loop(batch, first, count, max_steps):
        parts, answers = dict(base=0.0, edit=0.0, after=0.0), []

        def timed(part, work):
            begin = time.process_time()
            result = work()
            parts[part] += 1e3 * (time.process_time() - begin)
            return result

        wall, cpu = time.perf_counter(), time.process_time()
        for number in range(first, first + count):
            episode = episodes[number]
            questions = questions_of(episode)
            before = timed("base", lambda: ask(questions, batch))
            kept = [weight.detach().clone() for weight in edited]
            timed("edit", lambda: edit(episode, max_steps))
            after = timed("after", lambda: ask(questions, batch))
            for weight, old in zip(edited, kept):
                weight.data.copy_(old)
            answers += [[number, *b, *a[3:]] for b, a in zip(before, after, strict=True)]
        return dict(wallMs=1e3 * (time.perf_counter() - wall), cpuMs=1e3 * (time.process_time() - cpu), partsCpuMs=parts,
                    edits=sum(len(episodes[i]["edits"]) for i in range(first, first + count)), answers=answers)

    print(json.dumps(dict(ready=True)), flush=True)
    for line in sys.stdin:
        print(json.dumps(loop(*map(int, line.split()[1:]))), flush=True)


def agreement(product, theirs):
    """Shares of equal answers, and how far the edited models' losses are apart where the product records them: in scope."""
    pairs = [(product[tuple(answer[:4])], answer[4:]) for answer in theirs]
    # episode, edit, group, position, then of the base: text, nll, right; of the edited model: the same.
    apart = [abs(ours["negLogLik"] - after_nll) / max(1.0, after_nll) for ours, (_, _, _, _, after_nll, _) in pairs
             if "negLogLik" in ours]
    return dict(questions=len(pairs),
                baseTexts=statistics.mean(ours["base"] == their[0] for ours, their in pairs),
                editedTexts=statistics.mean(ours["edited"] == their[3] for ours, their in pairs),
                medianLossDifference=statistics.median(apart), largestLossDifference=max(apart))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=T5_SHAPES, default="t5-small")
    parser.add_argument("--edits", type=int, default=1024, help="of the product's run")
    parser.add_argument("--k", type=int, default=64, help="edits of an episode")
    parser.add_argument("--one-record-edits", type=int, default=64, help="of the loop of one record at a time")
    parser.add_argument("--batches-edits", type=int, default=128, help="of the loop with batches of 64")
    parser.add_argument("--max-steps", type=int, default=5, help="of FT")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return serve(options.serve)
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    with tempfile.TemporaryDirectory() as folder:
        write_model(f"{folder}/model", options.shape)
        suite = Path(folder, "suite.yaml")
        write_suite(suite, f"{folder}/model", options)
        json.dump(dict(config=CONFIGS[options.shape], threads=options.threads), open(f"{folder}/task.json", "w"))
        took = dict(product=[], oneRecord=[], batches=[])
        loops = dict(oneRecord=(0, options.one_record_edits), batches=(64, options.batches_edits))
        draw_episodes(folder, suite, options.threads)
        peer, agreed = Side([sys.executable, __file__, "--serve", folder]), {}
        for _ in range(options.rounds):
            took["product"].append(run_product(folder, suite, options.threads))
            for name, (batch, edits) in loops.items():
                answer = peer.ask(f"loop {batch} 0 {max(1, edits // options.k)} {options.max_steps}")
                agreed[name] = agreement(product_answers(folder), answer.pop("answers"))
                took[name].append(answer)
        peer.close()
    for name, found in agreed.items():
        if found["baseTexts"] < 0.99 or found["medianLossDifference"] > 0.01:
            raise SystemExit(f"the product and the loop disagree: {name}: {found}")

    def by_edit(name, figure):
        return statistics.median(run[figure] / run["edits"] for run in took[name])

    print(json.dumps(dict(
        shape=options.shape, k=options.k, maxSteps=options.max_steps, threads=options.threads, rounds=options.rounds,
        runs=took, agreement=agreed,
        msByEdit={name: {figure: round(by_edit(name, figure), 2) for figure in ("wallMs", "cpuMs")} for name in took},
        speedUp={name: {figure: round(by_edit(name, figure) / by_edit("product", figure), 2)
                        for figure in ("wallMs", "cpuMs")} for name in loops}), indent=1))


if __name__ == "__main__":
    main()
