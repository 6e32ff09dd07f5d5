// Drawing tokens instead of taking the likeliest.
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Sampling } from "../../src/native/addon.js";
import { type Engine, type Model, openEngine } from "../../src/native/engine.js";
import { packRows, unpackRows } from "../../src/tokenizers/token_rows.js";
import { TINY_BASES } from "../support/tiny_models.js";

const ROWS = [Int32Array.of(5, 9, 12), Int32Array.of(7), Int32Array.of(3, 3, 8, 21, 4)];

let engine: Engine;
let model: Model;
beforeAll(async () => {
  engine = await openEngine({ threads: 1 });
  model = await engine.createModel(TINY_BASES.gpt2 ?? {}, { seed: 3 });
});
afterAll(() => engine.close());

async function drawn(rows: readonly Int32Array[], sample?: Sampling): Promise<number[][]> {
  const { tokens } = await model.generate(packRows(rows), {
    maxNewTokens: 10,
    stopAtEnd: false,
    ...(sample && { sample }),
  });
  return unpackRows(tokens).map((row) => [...row]);
}

test("draws follow the seed and the row, not the rows beside it", async () => {
  const all = await drawn(ROWS, { seed: 6 });
  expect(all.map(({ length }) => length)).toEqual([10, 10, 10]);
  expect(await drawn(ROWS, { seed: 6 })).toEqual(all);
  expect(await drawn(ROWS.toReversed(), { seed: 6 })).toEqual(all.toReversed());
  expect(await drawn(ROWS.slice(1, 2), { seed: 6 })).toEqual(all.slice(1, 2));
  expect(await drawn(ROWS, { seed: 7 })).not.toEqual(all);
});

test("cold draws are the likeliest tokens", async () => {
  expect(await drawn(ROWS, { seed: 6, temperature: 1e-4 })).toEqual(await drawn(ROWS));
});

test.each([
  [{ seed: -1 }, /options\.sample\.seed/],
  [{ seed: 1.5 }, /options\.sample\.seed/],
  [{ seed: 1, temperature: 0 }, /options\.sample\.temperature/],
  [{ seed: 1, topK: 3 }, /options\.sample\.topK/],
])("%o is refused", async (sample, message) => {
  await expect(drawn(ROWS, sample)).rejects.toMatchObject({
    code: "CONFIG_INVALID",
    message: expect.stringMatching(message),
  });
});
