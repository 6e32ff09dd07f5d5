// What the variants of SEPROG take and give across the seam.
import { afterAll, beforeAll, expect, test } from "vitest";
import type {
  NativeEditedModel,
  NativeEditor,
  NativeEngine,
  NativeModel,
  Spec,
} from "../../src/native/addon.js";
import { loadAddon } from "../../src/native/load.js";
import { TINY_EDITOR, TINY_T5, tinyEpisodes, tinyPairs, tinyRequests } from "../support/tiny_models.js";

let engine: NativeEngine;
let model: NativeModel;
beforeAll(async () => {
  engine = new (loadAddon().Engine)({ threads: 1 });
  model = await engine.createModel(TINY_T5, { seed: 1 });
});
afterAll(() => engine.close());

const editorOf = (more: Spec): Promise<NativeEditor> =>
  engine.createEditor({ ...TINY_EDITOR, ...more }, model);

async function edited(more: Spec): Promise<NativeEditedModel> {
  const editor = await editorOf(more);
  const { model: scorer } = await editor.edit(tinyRequests(3), model);
  return scorer;
}

const none = Int32Array.of(-1, -1);

test("goldEdits reach score, generate and compare", async () => {
  const oracle = await edited({ variant: "oraclegate" });
  const pairs = tinyPairs(2, 6, 5);
  const plain = await model.score(pairs);
  expect((await oracle.score(pairs, { goldEdits: none })).logProb).toEqual(plain.logProb);
  const inside = Int32Array.of(0, 2);
  expect((await oracle.score(pairs, { goldEdits: inside })).logProb).not.toEqual(plain.logProb);
  const { kl } = await model.compare(oracle, pairs, { goldEdits: none });
  expect([...kl].every((value) => value === 0)).toBe(true);
  expect([...(await model.compare(oracle, pairs, { goldEdits: inside })).kl].some((value) => value > 0)).toBe(
    true,
  );
  const answer = await oracle.generate(pairs.source, { goldEdits: none, maxNewTokens: 3 });
  expect(answer.tokens).toEqual((await model.generate(pairs.source, { maxNewTokens: 3 })).tokens);
});

test.each(["oraclegate", "oracleedit"])("%s without its truth is told so", async (variant) => {
  const oracle = await edited({ variant });
  const pairs = tinyPairs(2);
  const refused = { code: "DATA_INVALID", message: expect.stringContaining("goldEdits") };
  await expect(oracle.score(pairs)).rejects.toMatchObject({
    ...refused,
    message: expect.stringContaining(variant),
  });
  await expect(oracle.generate(pairs.source)).rejects.toMatchObject(refused);
  await expect(model.compare(oracle, pairs)).rejects.toMatchObject(refused);
  await expect(oracle.score(pairs, { goldEdits: Int32Array.of(0) })).rejects.toMatchObject(refused);
  await expect(oracle.score(pairs, { goldEdits: Int32Array.of(0, 3) })).rejects.toMatchObject(refused);
});

test("goldEdits of another type or length are refused by every scorer", async () => {
  const pairs = tinyPairs(2);
  const wrong = [0, 1] as unknown as Int32Array;
  await expect(model.score(pairs, { goldEdits: wrong })).rejects.toMatchObject({
    code: "CONFIG_INVALID",
    message: expect.stringContaining("options.goldEdits"),
  });
  await expect(model.score(pairs, { goldEdits: Int32Array.of(1) })).rejects.toMatchObject({
    code: "DATA_INVALID",
  });
});

test("an editor without a classifier tells no scope", async () => {
  const scores = await (await edited({ variant: "noclassifier" })).score(tinyPairs(2));
  expect(scores.scope).toBeUndefined();
});

test("an edit tells what fitting took, and nothing where nothing is fitted", async () => {
  const editor = await editorOf({ variant: "finetune", finetune: "edit_time", finetuneSteps: 3 });
  const { model: fitted, figures } = await editor.edit(tinyRequests(2), model);
  expect(figures).toMatchObject({ steps: 3, stoppedByLimit: 1 });
  expect(Object.keys(figures).sort()).toEqual([
    "editAccuracy",
    "editLoss",
    "residualNorm",
    "steps",
    "stoppedByLimit",
  ]);
  await expect(editor.edit(tinyRequests(1), fitted)).rejects.toMatchObject({ code: "UNSUPPORTED" });
  const memory = await editor.createMemory();
  await expect(editor.withMemory(memory)).rejects.toMatchObject({ code: "UNSUPPORTED" });
  expect((await (await editorOf({})).edit(tinyRequests(2), model)).figures).toEqual({});
});

test("rateFactor scales the rate of the base alone", async () => {
  const spec = { variant: "finetune", finetuneLearningRate: 0.001 };
  const prints = await Promise.all(
    [{}, { rateFactor: 1 }, { rateFactor: 0.5 }].map(async (more) => {
      const editor = await editorOf(spec);
      await editor.trainStep(tinyEpisodes(2), { learningRate: 0, ...more });
      return editor.fingerprint();
    }),
  );
  expect(prints[0]).toBe(prints[1]);
  expect(prints[0]).not.toBe(prints[2]);
  expect(prints).not.toContain(await (await editorOf(spec)).fingerprint());
  const editor = await editorOf({});
  await expect(editor.trainStep(tinyEpisodes(2), { learningRate: 0, rateFactor: -1 })).rejects.toMatchObject({
    code: "DATA_INVALID",
  });
});

test.each([
  ["variant", "sp-noselect"],
  ["finetune", "later"],
  ["finetuneParameters", "last3"],
  ["finetuneLearningRate", -1],
  ["finetuneSteps", 0],
  ["promptPositions", "keep"],
])("a wrong %s is named", async (key, value) => {
  await expect(editorOf({ [key]: value })).rejects.toMatchObject({
    code: "CONFIG_INVALID",
    message: expect.stringContaining(`editor.${key}`),
  });
});
