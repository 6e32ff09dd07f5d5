// Several engines: side by side, in worker threads, and handles that stray from one to another.
import { readdirSync, readFileSync } from "node:fs";
import { setImmediate as turn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Worker } from "node:worker_threads";
import { beforeAll, expect, test } from "vitest";
import { type Engine, type Model, openEngine } from "../../src/native/engine.js";
import { childScript, requireBuiltPackage } from "../support/built_package.js";
import { ENDLESS, TINY_EDITOR, TINY_T5, tinyPairs, tinyRequests, tinyRows } from "../support/tiny_models.js";

beforeAll(requireBuiltPackage);

async function openTwo(): Promise<AsyncDisposable & { engines: [Engine, Engine]; models: [Model, Model] }> {
  const engines: [Engine, Engine] = [await openEngine({ threads: 1 }), await openEngine({ threads: 2 })];
  const models: [Model, Model] = [
    await engines[0].createModel(TINY_T5, { seed: 1 }),
    await engines[1].createModel(TINY_T5, { seed: 1 }),
  ];
  return {
    engines,
    models,
    [Symbol.asyncDispose]: async () => {
      await Promise.all(engines.map((engine) => engine.close()));
    },
  };
}

test("two engines work at once and give the same answers", async () => {
  await using two = await openTwo();
  const [first, second] = two.models;
  expect(two.engines.map(({ threads }) => threads)).toEqual([1, 2]);
  const results = await Promise.all(
    Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? first : second).score(tinyPairs(4))),
  );
  for (const { rowLoss } of results) expect(rowLoss).toEqual(results[0]?.rowLoss);
});

test("one engine answers while another is busy, and outlives its end", async () => {
  await using two = await openTwo();
  const abort = new AbortController();
  const busy = two.models[0].generate(tinyRows(1, 5), { ...ENDLESS, signal: abort.signal });
  const settled = Promise.allSettled([busy]);
  await two.models[1].score(tinyPairs(2));
  abort.abort();
  await settled;
  await two.engines[0].close();
  await expect(two.models[1].score(tinyPairs(2))).resolves.toBeDefined();
});

test("a handle of another engine is refused and harms neither", async () => {
  await using two = await openTwo();
  const [own, foreign] = two.models;
  const [engine, otherEngine] = two.engines;
  const editor = await engine.createEditor(TINY_EDITOR, own);
  const otherEditor = await otherEngine.createEditor(TINY_EDITOR, foreign);
  const otherMemory = await otherEditor.createMemory();
  const refused = { name: "SeprogError", code: "CONFIG_INVALID", message: /of another engine/ };
  const strays = [
    () => engine.createEditor(TINY_EDITOR, foreign),
    () => engine.createFineTuner({}, foreign),
    () => own.compare(foreign, tinyPairs(2)),
    () => editor.edit(tinyRequests(1), foreign),
    () => editor.withMemory(otherMemory),
  ];
  for (const stray of strays) {
    await expect(stray()).rejects.toMatchObject({
      ...refused,
      message: expect.stringMatching(refused.message),
    });
  }
  await expect(own.score(tinyPairs(2))).resolves.toBeDefined();
  await expect(foreign.score(tinyPairs(2))).resolves.toBeDefined();
});

function startWorker(task: "endless" | "short"): {
  worker: Worker;
  ready: Promise<string>;
  exit: Promise<number>;
} {
  const worker = new Worker(childScript("exit_worker.mjs"), { workerData: task });
  const ready = new Promise<string>((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
  return { worker, ready, exit: new Promise((resolve) => worker.once("exit", resolve)) };
}

test("workers have engines of their own and end by themselves", async () => {
  await using two = await openTwo();
  const workers = [startWorker("short"), startWorker("short")];
  expect(await Promise.all(workers.map(({ ready }) => ready))).toEqual(["done", "done"]);
  expect(await Promise.all(workers.map(({ exit }) => exit))).toEqual([0, 0]);
  await expect(two.models[0].score(tinyPairs(2))).resolves.toBeDefined();
});

test("terminating a worker stops its engine in the middle of a call; the addon can be loaded again", async () => {
  await using two = await openTwo();
  for (let round = 0; round < 3; round++) {
    const { worker, ready } = startWorker("endless");
    await ready;
    expect(await worker.terminate()).toBe(1);
    await expect(two.models[0].score(tinyPairs(2))).resolves.toBeDefined();
  }
});

function engineThreads(): number {
  const names = readdirSync("/proc/self/task").map((id) =>
    readFileSync(`/proc/self/task/${id}/comm`, "utf8"),
  );
  return names.filter((name) => name.trim() === "seprog-engine").length;
}

setFlagsFromString("--expose-gc");
const collect: () => void = runInNewContext("gc");

async function collectAndCount(): Promise<number> {
  collect();
  await turn();
  return engineThreads();
}

async function openModel(seed: number): Promise<Model> {
  const engine = await openEngine({ threads: 1 });
  const model = await engine.createModel(TINY_T5, { seed });
  await model.score(tinyPairs(1));
  return model;
}

test("an engine that nobody holds any more ends by itself", async () => {
  const before = engineThreads();
  const useAndForget = async (): Promise<void> => {
    for (let seed = 0; seed < 3; seed++) await openModel(seed);
    await (await openModel(3)).dispose();
  };
  await useAndForget();
  await expect.poll(collectAndCount, { timeout: 60_000 }).toBe(before);
});

test("an engine whose model is held does not end", async () => {
  const model = await openModel(1);
  for (let i = 0; i < 10; i++) await collectAndCount();
  await expect(model.score(tinyPairs(1))).resolves.toBeDefined();
});
