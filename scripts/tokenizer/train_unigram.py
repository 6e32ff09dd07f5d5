#!/usr/bin/env python3
"""Trains the Unigram tokenizer of the embedded T5 models on the embedded data sets.

    python3 scripts/tokenizer/train_unigram.py [--vocabulary 4096] [--out assets/models/t5-mini/tokenizer.json]

Needs the `tokenizers` package (0.23.3 made the published file). Same version, same data: same file.
"""

import argparse
import gzip
import json
import math
import os
import random
from collections import Counter
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
# Ids 0, 1, 2, as in every T5.
SPECIAL = ["<pad>", "</s>", "<unk>"]
# Wordings a fact: enough to see every template often, few enough that subjects weigh.
WORDINGS = 3
RESCORING_ROUNDS = 4


def read_rows(path):
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def counterfact_texts(folder, rng):
    templates = json.loads((folder / "templates.json").read_text(encoding="utf-8"))
    for fact in read_rows(folder / "facts.jsonl.gz"):
        filled = [t.replace("[X]", fact["subject"]) for t in templates[fact["relation"]]]
        yield from rng.sample(filled, min(WORDINGS, len(filled)))
        yield f"{fact['prompt']} >> {fact['target_new']}"
        yield fact["object"]
        if rng.random() < 0.25:
            yield fact["rephrase_noisy"]


def zsre_texts(folder):
    for record in read_rows(folder / "records.jsonl.gz"):
        yield record["x_e"]
        yield from (pair["x"] for pair in record["in_scope"])
        yield from record["y_e_options"]
        yield from record["y_loc"]


def answer_pieces(folder):
    """CounterFact's answers are words that large vocabularies hold whole; a small one should hold them too."""
    rows = read_rows(folder / "facts.jsonl.gz")
    answers = {row[key] for row in rows for key in ("object", "target_new")}
    return sorted("\u2581" + answer for answer in answers if " " not in answer)


def assemble(pieces):
    tokenizer = Tokenizer(models.Unigram([*((token, 0.0) for token in SPECIAL), *pieces], SPECIAL.index("<unk>"), False))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens(SPECIAL)
    stop = SPECIAL.index("</s>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", stop)]
    )
    return tokenizer


def choose_pieces(texts, vocabulary, required):
    """The trainer's pieces, the rarest long ones making room for required ones."""
    draft = Tokenizer(models.Unigram())
    draft.normalizer = normalizers.NFKC()
    draft.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=vocabulary,
        special_tokens=SPECIAL,
        unk_token="<unk>",
        initial_alphabet=[chr(code) for code in range(0x21, 0x7F)],
        show_progress=False,
    )
    draft.train_from_iterator(texts, trainer)
    ranked = [piece for piece, _ in json.loads(draft.to_str())["model"]["vocab"] if piece not in SPECIAL]
    letters = [piece for piece in ranked if len(piece) == 1]
    kept = dict.fromkeys(letters + required)
    for piece in ranked:
        if len(kept) + len(SPECIAL) == vocabulary:
            break
        kept[piece] = None
    return sorted(kept)


def rescore(texts, pieces):
    """Scores by counting best segmentations, from the one with fewest tokens on: the trainer's own vary from run to run."""
    scored = [(piece, -10.0) for piece in pieces]
    for _ in range(RESCORING_ROUNDS):
        tokenizer = assemble(scored)
        counts = Counter(token for encoding in tokenizer.encode_batch(texts) for token in encoding.tokens)
        total = sum(counts[piece] for piece in pieces) + len(pieces)
        scored = [(piece, round(math.log((counts[piece] + 1) / total), 6)) for piece in pieces]
    return sorted(scored, key=lambda item: (-item[1], item[0]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--vocabulary", type=int, default=4096, help="tokens, special ones included")
    parser.add_argument("--data", type=Path, default=ROOT / "assets/data", help="folder of the embedded data sets")
    parser.add_argument("--out", type=Path, default=ROOT / "assets/models/t5-mini/tokenizer.json")
    options = parser.parse_args()
    rng = random.Random(0)
    texts = [*counterfact_texts(options.data / "counterfact", rng), *zsre_texts(options.data / "zsre")]
    required = answer_pieces(options.data / "counterfact")
    tokenizer = assemble(rescore(texts, choose_pieces(texts, options.vocabulary, required)))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    part = options.out.with_suffix(".json.part")
    tokenizer.save(str(part), pretty=False)
    part.replace(options.out)
    tokens = sum(len(tokenizer.encode(text).ids) for text in texts)
    print(f"{len(texts)} texts, {tokenizer.get_vocab_size()} tokens, {tokens / len(texts):.2f} tokens a text")


if __name__ == "__main__":
    main()
