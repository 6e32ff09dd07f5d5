// What SERAC takes and gives across the seam: prefixes of edits, views of rows, folders of its models.
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { EpisodeBatch, NativeEngine, NativeModel, Spec } from "../../src/native/addon.js";
import { loadAddon } from "../../src/native/load.js";
import { TINY_BASES, TINY_T5, tinyEpisodes, tinyPairs, tinyRequests } from "../support/tiny_models.js";

let engine: NativeEngine;
let model: NativeModel;
let folder: string;
let spec: Spec;
beforeAll(async () => {
  engine = new (loadAddon().Engine)({ threads: 1 });
  model = await engine.createModel(TINY_T5, { seed: 1 });
  folder = await mkdtemp(join(tmpdir(), "seprog-serac-"));
  const path = join(folder, "classifier");
  await mkdir(path);
  await (await engine.createModel(TINY_BASES.distilbert as Spec, { seed: 2 })).save(path);
  spec = { kind: "serac", classifier: { source: "directory", path } };
});
afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true });
});

const requestsOf = (count: number) => {
  const requests = tinyRequests(count);
  return { ...requests, editPrefix: requests.editText };
};

function batchOf(edits: number): EpisodeBatch {
  const batch = tinyEpisodes(edits);
  const views = { classifier: batch.inScope.source, counterfactual: batch.outScope.source };
  return { ...batch, editPrefix: batch.editText, inScopeViews: views, outScopeViews: views };
}

test("views decide what is retrieved and what the counterfactual model reads", async () => {
  const editor = await engine.createEditor({ ...spec, threshold: 1e-30 }, model);
  const { model: edited } = await editor.edit(requestsOf(3), model);
  const pairs = tinyPairs(4, 6, 5);
  const other = tinyPairs(4, 5, 5).source;
  const plain = await edited.score(pairs);
  const same = await edited.score(pairs, {
    views: { classifier: pairs.source, counterfactual: pairs.source },
  });
  expect(same.rowLoss).toEqual(plain.rowLoss);
  const classified = await edited.score(pairs, { views: { classifier: other } });
  expect(classified.scope?.logit).not.toEqual(plain.scope?.logit);
  const answered = await edited.score(pairs, { views: { counterfactual: other } });
  expect(answered.scope).toEqual(plain.scope);
  expect(answered.rowLoss).not.toEqual(plain.rowLoss);
  const { kl } = await model.compare(edited, pairs, { views: { counterfactual: other } });
  expect([...kl].some((value) => value > 0)).toBe(true);
  const { tokens } = await edited.generate(pairs.source, { views: { classifier: other }, maxNewTokens: 3 });
  expect(tokens.lengths).toHaveLength(4);
});

test("edits of an edited model are appended; of equal ones the first is retrieved", async () => {
  const editor = await engine.createEditor(spec, model);
  const { model: one } = await editor.edit(requestsOf(2), model);
  const { model: two } = await editor.edit(requestsOf(3), one);
  const asked = requestsOf(3).editText;
  const { scope } = await two.generate(asked, { maxNewTokens: 1 });
  expect(Array.from(scope?.selected ?? [])).toEqual([0, 1, 4]);
  expect(Math.min(...(scope?.logit ?? []))).toBeGreaterThan(10);
});

test("what does not fit together is refused", async () => {
  const editor = await engine.createEditor(spec, model);
  await expect(editor.edit(tinyRequests(2), model)).rejects.toMatchObject({
    code: "DATA_INVALID",
    message: expect.stringContaining("editPrefix"),
  });
  const batch = batchOf(3);
  const { editPrefix: _, ...bare } = batch;
  await expect(editor.trainStep(bare, { learningRate: 1e-3 })).rejects.toMatchObject({
    code: "DATA_INVALID",
  });
  const views = { classifier: tinyPairs(2).source };
  await expect(
    editor.trainStep({ ...batch, inScopeViews: views }, { learningRate: 1e-3 }),
  ).rejects.toMatchObject({
    code: "DATA_INVALID",
    message: expect.stringContaining("batch.inScopeViews.classifier"),
  });
  await expect(model.score(tinyPairs(3), { views })).rejects.toMatchObject({
    code: "DATA_INVALID",
    message: expect.stringContaining("views.classifier"),
  });
  await expect(editor.createMemory()).rejects.toMatchObject({ code: "UNSUPPORTED" });
});

test("steps lower the loss of their batch, and a restored editor goes on with the same bits", async () => {
  const editor = await engine.createEditor(spec, model);
  const batch = batchOf(3);
  const first = await editor.trainStep(batch, { learningRate: 1e-3 });
  for (let step = 0; step < 3; step++) await editor.trainStep(batch, { learningRate: 1e-3 });
  expect((await editor.validate(batch)).figures.loss).toBeLessThan(first.figures.loss ?? 0);
  const saved = join(folder, "saved");
  await mkdir(saved);
  await editor.save(saved, { optimizer: true });
  const restored = await engine.createEditor(spec, model);
  await restored.restore(saved, { optimizer: true });
  await editor.trainStep(batch, { learningRate: 1e-3 });
  await restored.trainStep(batch, { learningRate: 1e-3 });
  expect(await restored.fingerprint()).toBe(await editor.fingerprint());
});
