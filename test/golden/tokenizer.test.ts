import { describe, expect, test } from "vitest";
import { z } from "zod";
import { Tokenizer } from "../../src/tokenizers/tokenizer.js";
import { GOLDEN_ROOT, goldenCases, HANDLED_KINDS } from "../support/golden.js";

const caseSchema = z.looseObject({
  single: z.array(z.looseObject({ text: z.string(), ids: z.array(z.int()), decoded: z.string() })).min(1),
  pairs: z.array(z.unknown()).default([]),
});

const cases = goldenCases("tokenizer");

test(`${cases.length} fixtures below ${GOLDEN_ROOT}`, () => {
  expect(HANDLED_KINDS.tokenizer).toBe("tokenizer.test.ts");
});

for (const { name, folder, content } of cases)
  describe(name, () => {
    const { single, pairs } = caseSchema.parse(content);

    test("ids with special tokens", async () => {
      const tokenizer = await Tokenizer.load(folder);
      const got = single.map(({ text }) => ({ text, ids: Array.from(tokenizer.encode(text)) }));
      expect(got).toEqual(single.map(({ text, ids }) => ({ text, ids })));
    });

    test("decoded texts", async () => {
      const tokenizer = await Tokenizer.load(folder);
      const got = single.map(({ ids }) => ({ ids, decoded: tokenizer.decode(ids) }));
      expect(got).toEqual(single.map(({ ids, decoded }) => ({ ids, decoded })));
    });

    test("no text pairs, which are not supported", () => {
      expect(pairs).toHaveLength(0);
    });
  });
