#!/usr/bin/env python3
"""Trains the tokenizer of an embedded BERT, GPT-2 or BART model on text files.

    python3 scripts/tokenizer/train_subwords.py --kind bert --out tokenizer.json FILE...

A FILE is plain text, one text a line, or JSON (.json, .jsonl), of which the strings below KEYS are taken; either may be
gzipped (.gz). Needs the `tokenizers` package (0.23.3 made the published files). Same version, same files in any order:
same tokenizer.
"""

import argparse
import gzip
import json
import os
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers  # noqa: E402

# Where the common record and the embedded files of facts keep what models read and say.
KEYS = "x_e,x,y_e_options,y_loc,y_gold,text,subject,aliases,questions,answers,labels,prompt,object,target_new"
# Says that an in-scope answer is the edit's own.
COPY = "COPY"


def strings_of(value, keys, below=False):
    """Strings below one of the keys."""
    if isinstance(value, str):
        if below and value != COPY:
            yield value
    elif isinstance(value, list):
        for item in value:
            yield from strings_of(item, keys, below)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from strings_of(item, keys, below or key in keys)


def texts_of(path, keys):
    name = path.name.removesuffix(".gz")
    opened = gzip.open if path.name.endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8") as file:
        if name.endswith(".jsonl"):
            for line in file:
                yield from strings_of(json.loads(line), keys)
        elif name.endswith(".json"):
            yield from strings_of(json.load(file), keys, below=True)
        else:
            yield from (line.rstrip("\n") for line in file)


def wordpiece(vocabulary, special):
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    tokenizer.add_special_tokens(special)
    return tokenizer


def train_bert(texts, vocabulary):
    """Lower-cased WordPiece; ids 0-4 are [PAD] [UNK] [CLS] [SEP] [MASK]."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    draft = wordpiece({}, [])
    words = {
        word
        for text in texts
        for word, _ in draft.pre_tokenizer.pre_tokenize_str(draft.normalizer.normalize_str(text))
    }
    # Given first and in order: the trainer numbers them as it meets them, which differs from run to run.
    inner = sorted({"##" + letter for word in words for letter in word[1:]})
    trainer = trainers.WordPieceTrainer(vocab_size=vocabulary, special_tokens=special + inner, show_progress=False)
    draft.train_from_iterator(texts, trainer)
    tokenizer = wordpiece(draft.get_vocab(), special)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[(token, special.index(token)) for token in ("[CLS]", "[SEP]")],
    )
    return tokenizer


def byte_level(texts, vocabulary, special):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def train_gpt2(texts, vocabulary):
    """Byte-level BPE; the last id is <|endoftext|>, and nothing is put around a text."""
    tokenizer = byte_level(texts, vocabulary - 1, [])
    tokenizer.add_special_tokens(["<|endoftext|>"])
    return tokenizer


def train_bart(texts, vocabulary):
    """Byte-level BPE; ids 0-3 are <s> <pad> </s> <unk>, the last is <mask>."""
    tokenizer = byte_level(texts, vocabulary - 1, ["<s>", "<pad>", "</s>", "<unk>"])
    tokenizer.add_special_tokens(["<mask>"])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), True, False)
    return tokenizer


KINDS = {"bert": (train_bert, 6144), "gpt2": (train_gpt2, 4096), "bart": (train_bart, 6144)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--kind", choices=sorted(KINDS), required=True)
    parser.add_argument("--out", type=Path, required=True, help="the tokenizer.json to write")
    parser.add_argument("--vocabulary", type=int, help="tokens, special ones included; default 6144, gpt2 4096")
    parser.add_argument("--keys", default=KEYS, help=f"of JSON Lines, comma-separated; default {KEYS}")
    options = parser.parse_args()
    train, default_vocabulary = KINDS[options.kind]
    keys = set(options.keys.split(","))
    # Sorted, so that ties between pieces fall the same way whatever the order of the files.
    texts = sorted(text for path in options.files for text in texts_of(path, keys) if text.strip())
    if not texts:
        parser.error("expected texts in the files but received none")
    tokenizer = train(texts, options.vocabulary or default_vocabulary)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    part = options.out.with_suffix(".json.part")
    tokenizer.save(str(part), pretty=False)
    part.replace(options.out)
    tokens = sum(len(encoding.ids) for encoding in tokenizer.encode_batch(texts))
    print(f"{len(texts)} texts, {tokenizer.get_vocab_size()} tokens, {tokens / len(texts):.2f} tokens a text")


if __name__ == "__main__":
    main()
