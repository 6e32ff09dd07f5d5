import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { Tokenizer } from "../../src/tokenizers/tokenizer.js";
import {
  joined,
  protoField,
  protoFloat,
  tokenizerFixture,
  tokenizerFolder,
} from "../support/tokenizer_files.js";

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

type Others = Readonly<Record<string, string | Uint8Array>>;

async function load(fixture: string, names: readonly string[], others: Others = {}): Promise<Tokenizer> {
  const folder = await tokenizerFolder(fixture, names, others);
  folders.push(folder);
  return Tokenizer.load(folder);
}

const BPE = ["vocab.json", "merges.txt"];
const WORDPIECE = ["vocab.txt", "tokenizer_config.json"];
const config = (model_type: string) => ({ "config.json": JSON.stringify({ model_type }) });
const idsOf = (tokenizer: Tokenizer, text: string) => Array.from(tokenizer.encode(text));
const bodyOf = (tokenizer: Tokenizer, text: string) =>
  Array.from(tokenizer.encode(text, { specialTokens: "none" }));

describe("which files are read", () => {
  test("tokenizer.json before a family's own", async () => {
    const tokenizer = await load("bart_bpe", BPE, {
      "tokenizer.json": await readFile(join(tokenizerFixture("t5_spiece"), "tokenizer.json")),
    });
    expect(tokenizer.suffix).toEqual([1]);
    expect(tokenizer.vocabularySize).toBe(1600);
  });

  test("BART and GPT-2 are told apart by config.json, without one by the vocabulary", async () => {
    expect((await load("bart_bpe", BPE)).prefix).toEqual([0]);
    expect((await load("bart_bpe", BPE, config("bart"))).suffix).toEqual([2]);
    expect((await load("bart_bpe", BPE, config("gpt2"))).suffix).toEqual([]);
    expect((await load("gpt2_bpe", BPE)).suffix).toEqual([]);
    await expect(load("gpt2_bpe", BPE, config("bart"))).rejects.toMatchObject({
      code: "CHECKPOINT_INVALID",
      message: expect.stringMatching(/expected the token <s> \(cls_token\) in .*vocab\.json/),
    });
  });

  test.each([
    ["t5_spiece", ["spiece.model"], "mbart"],
    ["bart_bpe", BPE, "roberta"],
    ["bert_wordpiece_cased", WORDPIECE, "electra"],
  ])("files of %s under another family's name are UNSUPPORTED", async (fixture, names, family) => {
    await expect(load(fixture, names, config(family))).rejects.toMatchObject({
      code: "UNSUPPORTED",
      message: expect.stringContaining(`"${family}"`),
    });
  });

  test("half of a form is none", async () => {
    await expect(load("bart_bpe", ["vocab.json"])).rejects.toMatchObject({
      code: "CHECKPOINT_INVALID",
      message: expect.stringContaining("vocab.json with merges.txt"),
    });
  });
});

describe("special tokens", () => {
  test("T5's sentinels lie behind the pieces, the first one last", async () => {
    const tokenizer = await load("t5_spiece", ["spiece.model"]);
    expect(bodyOf(tokenizer, "<extra_id_0><extra_id_99>")).toEqual([1599, 1500]);
    expect(tokenizer.decode([1599])).toBe("");
    const none = await load("t5_spiece", ["spiece.model"], { "tokenizer_config.json": '{"extra_ids": 0}' });
    expect(none.vocabularySize).toBe(1500);
  });

  test("special_tokens_map.json names them, added_tokens.json gives those beyond the vocabulary ids", async () => {
    const tokenizer = await load("gpt2_bpe", BPE, {
      "special_tokens_map.json": '{"pad_token": {"content": "[PAD]", "lstrip": true}}',
      "added_tokens.json": '{"[PAD]": 1501, "<kept>": 1502}',
    });
    expect(tokenizer.vocabularySize).toBe(1503);
    expect(bodyOf(tokenizer, " [PAD]<kept>")).toEqual([1501, 1502]);
    expect(tokenizer.decode([1501, 1502])).toBe("<kept>");
  });

  test.each([
    ["an id of the vocabulary", '{"[PAD]": 7}'],
    ["one id twice", '{"[A]": 1501, "[B]": 1501}'],
    ["no number", '{"[PAD]": "1501"}'],
  ])("added_tokens.json with %s", async (_, content) => {
    await expect(load("gpt2_bpe", BPE, { "added_tokens.json": content })).rejects.toMatchObject({
      code: "CHECKPOINT_INVALID",
      message: expect.stringContaining("added_tokens.json"),
    });
  });
});

describe("BERT's settings", () => {
  const withSettings = (settings: object) =>
    load("bert_wordpiece_uncased", ["vocab.txt"], { "tokenizer_config.json": JSON.stringify(settings) });

  test("text is lower-cased and stripped of accents unless told otherwise", async () => {
    const plain = await load("bert_wordpiece_uncased", ["vocab.txt"]);
    const cafe = bodyOf(plain, "cafe");
    expect(bodyOf(plain, "CAFÉ")).toEqual(cafe);
    expect(bodyOf(await withSettings({ do_lower_case: false }), "CAFÉ")).not.toEqual(cafe);
    expect(bodyOf(await withSettings({ strip_accents: false }), "CAFÉ")).not.toEqual(cafe);
    expect(bodyOf(await withSettings({ do_lower_case: false, strip_accents: true }), "café")).toEqual(cafe);
  });

  test("ideographs stand alone unless told otherwise, also those beyond the basic plane", async () => {
    const plain = await load("bert_wordpiece_uncased", ["vocab.txt"]);
    expect(bodyOf(plain, "a中b")).toHaveLength(3);
    expect(bodyOf(plain, "a\u{20001}b")).toHaveLength(3);
    const joinedWords = await withSettings({ tokenize_chinese_chars: false });
    expect(bodyOf(joinedWords, "a中b")).toHaveLength(1);
  });

  test("a sigma at a word's end is lower-cased as any other", async () => {
    const vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "οδος", "οδοσ"].join("\n");
    const tokenizer = await load("bert_wordpiece_uncased", [], { "vocab.txt": vocabulary });
    expect(bodyOf(tokenizer, "ΟΔΟΣ")).toEqual([6]);
  });
});

describe("blanks are Unicode's, not JavaScript's", () => {
  test("a next-line character parts words of T5", async () => {
    const tokenizer = await load("t5_spiece", ["spiece.model"]);
    expect(bodyOf(tokenizer, "of\u0085the")).toEqual(bodyOf(tokenizer, "of the"));
  });

  test("a zero-width no-break space parts blanks in byte-level BPE, it is none itself", async () => {
    const tokenizer = await load("gpt2_bpe", BPE);
    const bytesOf = (text: string) => Array.from(text).flatMap((character) => bodyOf(tokenizer, character));
    expect(bodyOf(tokenizer, " \u205f\ufeff0")).toEqual(bytesOf(" \u205f\ufeff0"));
  });
});

describe("damaged files", () => {
  const message = (pattern: RegExp) => ({
    code: "CHECKPOINT_INVALID",
    message: expect.stringMatching(pattern),
  });

  test.each([
    ["vocab.json that is cut off", { "vocab.json": '{"a": 0' }, /vocab\.json/],
    ["vocab.json that is a list", { "vocab.json": "[]" }, /vocab\.json/],
    ["an id that is no number", { "vocab.json": '{"<s>": "0"}' }, /vocab\.json.*`<s>`/],
    ["an id far away", { "vocab.json": '{"<s>": 0, "</s>": 4000000000}' }, /vocab\.json.*4000000000/],
    ["an id twice", { "vocab.json": '{"<s>": 0, "</s>": 0}' }, /vocab\.json.*1 ids for 2 tokens/],
    ["an empty vocabulary", { "vocab.json": "{}" }, /vocab\.json/],
    ["a merge of one", { "merges.txt": "#version: 0.2\nh e\nonly" }, /merges\.txt:3/],
    ["a merge of three", { "merges.txt": "h e r" }, /merges\.txt:1/],
    ["a merge of what is not there", { "merges.txt": "h e\nqq zz" }, /merges\.txt:2.*"qq zz"/],
  ])("BART: %s", async (_, others, pattern) => {
    const names = BPE.filter((name) => !(name in others));
    await expect(load("bart_bpe", names, others as Others)).rejects.toMatchObject(message(pattern));
  });

  test.each([
    ["an empty file", "", /\[UNK\]/],
    ["an empty line", "[UNK]\n\n[CLS]\n[SEP]", /vocab\.txt:2.*empty line/],
    ["a token twice", "[UNK]\n[CLS]\n[SEP]\n[CLS]", /vocab\.txt:4.*"\[CLS\]".*line 2/],
    ["no [SEP]", "[UNK]\n[CLS]\na", /\[SEP\] \(sep_token\).*vocab\.txt/],
  ])("BERT: %s", async (_, content, pattern) => {
    const loading = load("bert_wordpiece_cased", [], { "vocab.txt": content });
    await expect(loading).rejects.toMatchObject(message(pattern));
  });

  test("settings of the wrong form", async () => {
    const others = { "tokenizer_config.json": '{"do_lower_case": "no"}' };
    await expect(load("bert_wordpiece_cased", ["vocab.txt"], others)).rejects.toMatchObject(
      message(/tokenizer_config\.json.*do_lower_case/),
    );
  });
});

describe("damaged and hostile SentencePiece models", () => {
  const piece = (text: string, type: number, score = -1) =>
    protoField(1, joined(protoField(1, text), protoFloat(2, score), protoField(3, type)));
  const special = joined(piece("<pad>", 3), piece("</s>", 3), piece("<unk>", 2));
  const pieces = joined(special, piece("\u2581", 1), piece("a", 1));
  const normalizer = protoField(3, protoField(1, "identity"));
  const valid = joined(pieces, protoField(2, protoField(3, 1)), normalizer);
  const spiece = (model: Uint8Array) => load("t5_spiece", [], { "spiece.model": model });

  test("a small one is read", async () => {
    expect(idsOf(await spiece(valid), "a a")).toEqual([3, 4, 3, 4, 1]);
  });

  test("numbers that are not needed may have any value", async () => {
    const model = joined(valid, protoField(99, -1n), protoField(98, new Uint8Array(3)));
    expect(idsOf(await spiece(model), "a")).toEqual([3, 4, 1]);
  });

  test.each([
    ["nothing", new Uint8Array(), /no pieces/],
    ["no normaliser", pieces, /cut short/],
    [
      "a length beyond the file",
      joined(valid, Uint8Array.of(0x0a, 0x80, 0x80, 0x80, 0x80, 0x10)),
      /4294967296 bytes/,
    ],
    [
      "a length of 2^63",
      joined(valid, Uint8Array.of(0x0a, ...Array(9).fill(0x80), 0x01)),
      /9223372036854775808/,
    ],
    ["a number without end", Uint8Array.from(Array(20).fill(0xff)), /64 bits/],
    ["a group", joined(valid, Uint8Array.of(0x0b)), /wire type 3/],
    ["field 0", joined(valid, Uint8Array.of(0x02, 0x00)), /field number 0/],
    ["a piece that is a number", joined(valid, protoField(1, 5)), /expected bytes in field 1/],
    ["a piece without text", joined(valid, protoField(1, protoField(3, 1))), /has no text/],
    ["a text that is not UTF-8", joined(valid, protoField(1, protoField(1, Uint8Array.of(0xff)))), /UTF-8/],
    ["a score that is no number", joined(valid, piece("b", 1, Number.NaN)), /score NaN/],
    ["a score of two bytes", joined(valid, protoField(1, protoField(2, "ab"))), /32-bit float/],
    ["a piece twice", joined(valid, piece("a", 1)), /every piece of .* once/],
    ["no unknown piece", joined(piece("</s>", 3), normalizer), /unknown characters/],
    ["no stop token", joined(piece("<unk>", 2), normalizer), /stop token <\/s>/],
    [
      "text instead",
      new TextEncoder().encode("version https://git-lfs.github.com/spec/v1\n"),
      /spiece\.model/,
    ],
  ])("%s is CHECKPOINT_INVALID", async (_, model, pattern) => {
    await expect(spiece(model)).rejects.toMatchObject({
      code: "CHECKPOINT_INVALID",
      message: expect.stringMatching(pattern),
    });
  });

  test("a character map whose trie claims 4 GB is CHECKPOINT_INVALID and takes no memory", async () => {
    const map = protoField(3, protoField(2, Uint8Array.of(0xfc, 0xff, 0xff, 0xff, 1, 2, 3, 4)));
    await expect(spiece(joined(pieces, map))).rejects.toMatchObject({
      code: "CHECKPOINT_INVALID",
      message: expect.stringContaining("4294967292"),
    });
  });

  test.each([
    ["BPE pieces", protoField(3, 2)],
    ["byte fallback", protoField(35, 1)],
  ])("%s are UNSUPPORTED", async (_, trainer) => {
    const model = joined(pieces, protoField(2, trainer), normalizer);
    await expect(spiece(model)).rejects.toMatchObject({ code: "UNSUPPORTED" });
  });

  test("a real one, cut anywhere, is CHECKPOINT_INVALID", async () => {
    const whole = await readFile(join(tokenizerFixture("t5_spiece"), "spiece.model"));
    for (const share of [0.01, 0.05, 0.1, 0.5, 0.9, 0.999]) {
      const cut = whole.subarray(0, Math.floor(whole.length * share));
      await expect(spiece(cut)).rejects.toMatchObject({ code: "CHECKPOINT_INVALID" });
    }
  });
});
