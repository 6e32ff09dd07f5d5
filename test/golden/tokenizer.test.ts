import { existsSync } from "node:fs";
import { copyFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { Tokenizer } from "../../src/tokenizers/tokenizer.js";
import { GOLDEN_ROOT, type GoldenCase, goldenCases, HANDLED_KINDS } from "../support/golden.js";

const ids = z.array(z.int());
const caseSchema = z.looseObject({
  single: z.array(z.looseObject({ text: z.string(), ids, decoded: z.string() })).min(1),
  pairs: z.array(z.looseObject({ a: z.string(), b: z.string(), ids, type_ids: ids })).default([]),
});
const sentencepieceSchema = z.looseObject({ rows: z.array(z.looseObject({ text: z.string(), ids })).min(1) });

const FAST_FORM = "tokenizer.json";
/** Files that are the tokenizer itself, in each family's own layout. */
const VOCABULARY_FILES = ["spiece.model", "vocab.json", "merges.txt", "vocab.txt"];
const OWN_FILES = [
  ...VOCABULARY_FILES,
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "config.json",
];

const cases = goldenCases("tokenizer");

test(`${cases.length} fixtures below ${GOLDEN_ROOT}`, () => {
  expect(HANDLED_KINDS.tokenizer).toBe("tokenizer.test.ts");
  const formless = cases.filter(({ folder }) =>
    [FAST_FORM, ...VOCABULARY_FILES].every((name) => !existsSync(join(folder, name))),
  );
  expect(formless).toEqual([]);
});

/** Every form the folder holds the tokenizer in, each by itself. */
const formsOf = ({ folder }: GoldenCase): [string, readonly string[]][] => [
  ...(existsSync(join(folder, FAST_FORM)) ? [[FAST_FORM, [FAST_FORM]] as [string, string[]]] : []),
  ...(VOCABULARY_FILES.some((name) => existsSync(join(folder, name)))
    ? [["the family's own files", OWN_FILES] as [string, string[]]]
    : []),
];

for (const goldenCase of cases)
  describe.each(formsOf(goldenCase))(`${goldenCase.name}: %s`, (_, files) => {
    const { single, pairs } = caseSchema.parse(goldenCase.content);
    let alone: string;
    let tokenizer: Tokenizer;
    beforeAll(async () => {
      alone = await mkdtemp(join(tmpdir(), "seprog-golden-"));
      for (const name of files) {
        const path = join(goldenCase.folder, name);
        if (existsSync(path)) await copyFile(path, join(alone, name));
      }
      tokenizer = await Tokenizer.load(alone);
    });
    afterAll(() => rm(alone, { recursive: true }));

    test("ids with special tokens", () => {
      const got = single.map(({ text }) => ({ text, ids: Array.from(tokenizer.encode(text)) }));
      expect(got).toEqual(single.map(({ text, ids }) => ({ text, ids })));
    });

    test("decoded texts", () => {
      const got = single.map(({ ids }) => ({ ids, decoded: tokenizer.decode(ids) }));
      expect(got).toEqual(single.map(({ ids, decoded }) => ({ ids, decoded })));
    });

    test(`${pairs.length} pairs with their token types`, () => {
      const got = pairs.map(({ a, b }) => {
        const { ids, types } = tokenizer.encodePair(a, b);
        return { a, b, ids: Array.from(ids), type_ids: Array.from(types) };
      });
      expect(got).toEqual(pairs.map(({ a, b, ids, type_ids }) => ({ a, b, ids, type_ids })));
    });

    const sentencepiece = join(goldenCase.folder, "sentencepiece_ids.json");
    if (existsSync(sentencepiece))
      test("sentencepiece's own ids of texts without unknown characters", async () => {
        const { rows } = sentencepieceSchema.parse(JSON.parse(await readFile(sentencepiece, "utf8")));
        const known = rows.filter(({ text }) => tokenizer.countUnknown(tokenizer.encode(text)) === 0);
        expect(known.length).toBeGreaterThan(rows.length / 2);
        const got = known.map(({ text }) => Array.from(tokenizer.encode(text, { specialTokens: "none" })));
        expect(got).toEqual(known.map(({ ids }) => ids));
      });
  });
