import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Engine, type Model, openEngine } from "../../src/native/engine.js";
import {
  ENDLESS,
  TINY_EDITOR,
  TINY_T5,
  TINY_TUNER,
  tinyEpisodes,
  tinyPairs,
  tinyRows,
} from "../support/tiny_models.js";

let engine: Engine;
let model: Model;
beforeEach(async () => {
  engine = await openEngine({ threads: 1 });
  model = await engine.createModel(TINY_T5, { seed: 1 });
});
afterEach(() => engine.close());

class Reason extends Error {}

test("aborted before the call: rejects with the reason, nothing runs", async () => {
  const reason = new Reason("before");
  const signal = AbortSignal.abort(reason);
  await expect(model.generate(tinyRows(1, 5), { ...ENDLESS, signal })).rejects.toBe(reason);
  await expect(engine.createModel(TINY_T5, { seed: 2, signal })).rejects.toBe(reason);
  await expect(engine.memoryStats({ signal })).rejects.toBe(reason);
});

test("aborted while queued: the call before it is not touched", async () => {
  const first = new AbortController();
  const second = new AbortController();
  const running = model.generate(tinyRows(1, 5), { ...ENDLESS, signal: first.signal });
  const queued = model.score(tinyPairs(2), { signal: second.signal });
  const settled = Promise.allSettled([running, queued]);
  const reason = new Reason("queued");
  second.abort(reason);
  await delay(20);
  first.abort(new Reason("running"));
  const [, outcome] = await settled;
  expect(outcome).toEqual({ status: "rejected", reason });
});

test("aborted between decoded tokens", async () => {
  const abort = new AbortController();
  const endless = model.generate(tinyRows(3, 5), { ...ENDLESS, signal: abort.signal });
  const reason = new Reason("during");
  setTimeout(() => abort.abort(reason), 30);
  await expect(endless).rejects.toBe(reason);
  await expect(model.score(tinyPairs(2))).resolves.toBeDefined();
});

test("the default reason and a timeout's are passed on as they are", async () => {
  const abort = new AbortController();
  const endless = model.generate(tinyRows(1, 5), { ...ENDLESS, signal: abort.signal });
  abort.abort();
  await expect(endless).rejects.toMatchObject({ name: "AbortError" });
  const timed = model.generate(tinyRows(1, 5), { ...ENDLESS, signal: AbortSignal.timeout(20) });
  await expect(timed).rejects.toMatchObject({ name: "TimeoutError" });
});

test("a signal that aborts after the call has ended changes nothing", async () => {
  const abort = new AbortController();
  await model.score(tinyPairs(2), { signal: abort.signal });
  abort.abort();
  await expect(model.score(tinyPairs(2))).resolves.toBeDefined();
});

test("what is no AbortSignal is CONFIG_INVALID", async () => {
  const signal = {} as AbortSignal;
  await expect(model.score(tinyPairs(2), { signal })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
});

/** How long one step takes, in ms. */
async function timeOf(step: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await step();
  return performance.now() - startMs;
}

test("an aborted editor step leaves weights and optimiser as they were, at whatever moment", async () => {
  const editor = await engine.createEditor(TINY_EDITOR, model);
  const control = await engine.createEditor(TINY_EDITOR, model);
  const batch = tinyEpisodes(32, 4, 24);
  const options = { learningRate: 0.01 };
  const wholeMs = await timeOf(() => editor.trainStep(batch, options));
  await control.trainStep(batch, options);

  let aborted = 0;
  for (let tenth = 0; tenth < 10; tenth++) {
    const before = await editor.fingerprint();
    const abort = new AbortController();
    const step = editor.trainStep(batch, { ...options, signal: abort.signal });
    const outcome = step.then(
      () => "done",
      () => "aborted",
    );
    await delay((wholeMs * tenth) / 10);
    abort.abort();
    if ((await outcome) === "aborted") {
      aborted++;
      expect(await editor.fingerprint()).toBe(before);
    } else {
      await control.trainStep(batch, options);
      expect(await editor.fingerprint()).toBe(await control.fingerprint());
    }
  }
  expect(aborted).toBeGreaterThan(0);
  await editor.trainStep(batch, options);
  await control.trainStep(batch, options);
  expect(await editor.fingerprint()).toBe(await control.fingerprint());
});

test("an aborted fine-tuning step leaves the weights as they were", async () => {
  const tuner = await engine.createFineTuner(TINY_TUNER, model);
  const batch = tinyPairs(64, 24);
  await tuner.trainStep(batch, { learningRate: 0.01 });
  const wholeMs = await timeOf(() => tuner.trainStep(batch, { learningRate: 0.01 }));
  const before = (await tuner.snapshot()).info.checksum;
  const abort = new AbortController();
  const step = tuner.trainStep(batch, { learningRate: 0.01, signal: abort.signal });
  const settled = Promise.allSettled([step]);
  await delay(wholeMs / 4);
  abort.abort();
  const [outcome] = await settled;
  const after = (await tuner.snapshot()).info.checksum;
  expect(after === before).toBe(outcome?.status === "rejected");
});

test("fifty calls under one signal: no warning, and all reject with its reason", async () => {
  const warnings: Error[] = [];
  const collect = (warning: Error): void => void warnings.push(warning);
  process.on("warning", collect);
  const abort = new AbortController();
  const calls = Array.from({ length: 50 }, () =>
    model.generate(tinyRows(1, 5), { ...ENDLESS, signal: abort.signal }),
  );
  const settled = Promise.allSettled(calls);
  await delay(10);
  const reason = new Reason("all");
  abort.abort(reason);
  for (const outcome of await settled) expect(outcome).toEqual({ status: "rejected", reason });
  await expect(engine.memoryStats()).resolves.toBeDefined();
  process.off("warning", collect);
  expect(warnings).toEqual([]);
});
