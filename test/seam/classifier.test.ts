// A classifier across the border: what it says of itself, token types, one class id an answer.
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Engine, type Model, openEngine } from "../../src/native/engine.js";
import { ENDLESS, TINY_BERT, TINY_TUNER, tinyRows, VOCABULARY } from "../support/tiny_models.js";

let engine: Engine;
let model: Model;
beforeAll(async () => {
  engine = await openEngine({ threads: 1 });
  model = await engine.createModel(TINY_BERT, { seed: 1 });
});
afterAll(() => engine.close());

const classes = (...ids: number[]) => ({
  ids: Int32Array.from(ids),
  lengths: new Int32Array(ids.length).fill(1),
});

test("says that it answers with one of two classes", () => {
  expect(model.info).toMatchObject({
    family: "bert",
    answers: "label",
    vocabulary: VOCABULARY,
    targetVocabulary: 2,
  });
});

test("a pair with types is another input than the same ids without", async () => {
  const source = tinyRows(4, 6);
  const typed = { ...source, types: Int32Array.from(source.ids, (_, i) => (i % 6 < 3 ? 0 : 1)) };
  const zeros = { ...source, types: new Int32Array(source.ids.length) };
  const lossesOf = async (rows: typeof source) =>
    (await model.score({ source: rows, target: classes(0, 1, 0, 1) })).rowLoss;
  const plain = await lossesOf(source);
  expect(await lossesOf(zeros)).toEqual(plain);
  const withTypes = await lossesOf(typed);
  for (const [row, loss] of withTypes.entries())
    expect(Math.abs(loss - (plain[row] ?? 0))).toBeGreaterThan(1e-4);
});

test("both classes share the probability, and the answer is the likelier one", async () => {
  const source = tinyRows(8, 6);
  const scored = async (label: number) =>
    model.score({ source, target: classes(...new Array<number>(8).fill(label)) });
  const [no, yes] = [await scored(0), await scored(1)];
  const answer = await model.generate(source, ENDLESS);
  expect([...answer.tokens.lengths]).toEqual(new Array(8).fill(1));
  for (let row = 0; row < 8; row++) {
    const p = [no, yes].map(({ logProb }) => Math.exp(logProb[row] ?? Number.NaN));
    expect((p[0] ?? 0) + (p[1] ?? 0)).toBeCloseTo(1, 5);
    expect(answer.tokens.ids[row]).toBe((p[1] ?? 0) > (p[0] ?? 0) ? 1 : 0);
    expect(yes.argmax[row]).toBe(answer.tokens.ids[row]);
  }
});

test("is taught which claims are true", async () => {
  const tuner = await engine.createFineTuner(TINY_TUNER, model);
  const batch = { source: tinyRows(8, 6), target: classes(0, 1, 1, 0, 1, 0, 0, 1) };
  for (let step = 0; step < 40; step++) await tuner.trainStep(batch, { learningRate: 5e-3 });
  const taught = await tuner.snapshot();
  expect([...(await taught.generate(batch.source)).tokens.ids]).toEqual([...batch.target.ids]);
});
