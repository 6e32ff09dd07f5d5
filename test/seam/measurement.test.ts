import { setImmediate as turn } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Measurement } from "../../src/native/addon.js";
import { type Engine, type Model, openEngine } from "../../src/native/engine.js";
import {
  TINY_EDITOR,
  TINY_T5,
  tinyEpisodes,
  tinyPairs,
  tinyRequests,
  tinyRows,
} from "../support/tiny_models.js";

let engine: Engine;
let model: Model;
beforeEach(async () => {
  engine = await openEngine({ threads: 1 });
  model = await engine.createModel(TINY_T5, { seed: 1 });
});
afterEach(() => engine.close());

const ROLES = [
  "weights",
  "editor",
  "optimizer",
  "activations",
  "gradients",
  "hypergradient",
  "kvCache",
  "editMemory",
  "workspace",
  "other",
];
const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

function expectSound({ total, queuedNs, phases }: Measurement): void {
  expect(queuedNs).toBeGreaterThan(0);
  for (const phase of [total, ...phases]) {
    expect(phase.wallNs).toBeGreaterThan(0);
    expect(phase.wallNs).toBeLessThanOrEqual(total.wallNs);
    expect(phase.deviceNs).toBeNull();
    expect(phase.peakBytes).toBeGreaterThanOrEqual(phase.baselineBytes);
    expect(phase.peakBytes).toBeLessThanOrEqual(total.peakBytes);
    expect(phase.peakReservedBytes).toBeGreaterThanOrEqual(phase.peakBytes);
    expect(Object.keys(phase.rolesAtPeak ?? {})).toEqual(ROLES);
    expect(sumOf(Object.values(phase.rolesAtPeak ?? {}))).toBe(phase.peakBytes);
  }
}

test("a measured call tells time and memory of the whole and of its phases, an unmeasured one nothing", async () => {
  const editor = await engine.createEditor(TINY_EDITOR, model);
  const batch = tinyEpisodes(4);
  const { measurement } = await editor.trainStep(batch, { learningRate: 0.001, measure: true });
  if (measurement === undefined) throw new Error("expected a measurement");
  expectSound(measurement);
  expect(measurement.phases.length).toBeGreaterThan(0);
  expect(measurement.total.peakBytes).toBeGreaterThan(measurement.total.baselineBytes);
  const plain = await editor.trainStep(batch, { learningRate: 0.001 });
  expect(plain).not.toHaveProperty("measurement");
});

test("self times add up to the whole; detail tells where each phase lies and when memory was held", async () => {
  const editor = await engine.createEditor(TINY_EDITOR, model);
  const { measurement } = await editor.trainStep(tinyEpisodes(4), { learningRate: 0.001, measure: "detail" });
  if (measurement?.detail === undefined) throw new Error("expected a detailed measurement");
  const { total, phases, detail } = measurement;
  const selves = phases.reduce((sum, { selfWallNs }) => sum + selfWallNs, total.selfWallNs);
  expect(selves).toBe(total.wallNs);
  expect(detail.spanPhase).toHaveLength(phases.reduce((sum, { calls }) => sum + calls, 0));
  for (const [i, phase] of detail.spanPhase.entries()) {
    expect(phases[phase]).toBeDefined();
    expect(detail.spanEndNs[i]).toBeGreaterThan(detail.spanBeginNs[i] ?? 0);
  }
  expect([...detail.sampleNs]).toEqual([...detail.sampleNs].sort((a, b) => a - b));
  expect(Math.max(...detail.sampleBytes)).toBe(total.peakBytes);
  expect(detail.sampleNs.length).toBeGreaterThan(2 * detail.spanPhase.length);
  const wrong = { learningRate: 0.001, measure: "everything" as "detail" };
  await expect(editor.trainStep(tinyEpisodes(4), wrong)).rejects.toThrow(/"detail" for `options.measure`/);
});

test("a model's weights, an editor's parameters and their moments have roles of their own", async () => {
  const editor = await engine.createEditor(TINY_EDITOR, model);
  const { measurement } = await editor.trainStep(tinyEpisodes(4), { learningRate: 0.001, measure: true });
  const roles = measurement?.total.rolesAtPeak;
  if (roles == null) throw new Error("expected the roles at the peak");
  expect(roles.weights).toBeGreaterThanOrEqual(model.info.parameterCount * 4);
  expect(roles.editor).toBeGreaterThan(0);
  expect(roles.optimizer).toBeGreaterThan(0);
  expect(roles.gradients).toBeGreaterThan(0);
  expect(roles.kvCache).toBe(0);
});

test("detail counts the FLOPs of every phase, forward, backward and of second order", async () => {
  const flopsOf = (measurement: Measurement | undefined) => {
    if (measurement === undefined) throw new Error("expected a measurement");
    return [measurement.total, ...measurement.phases].map(({ flops }) => {
      if (flops === null) throw new Error("expected FLOPs");
      return flops;
    });
  };
  const whole = (measurement: Measurement | undefined) => {
    const phases = flopsOf(measurement);
    return {
      forward: sumOf(phases.map(({ forward }) => forward)),
      backward: sumOf(phases.map(({ backward }) => backward)),
      secondOrder: sumOf(phases.map(({ secondOrder }) => secondOrder)),
    };
  };
  const detail = { measure: "detail" } as const;
  const once = whole((await model.score(tinyPairs(32, 16), detail)).measurement);
  const twice = whole((await model.score(tinyPairs(64, 16), detail)).measurement);
  expect(once.forward).toBeGreaterThan(0);
  expect(twice).toEqual({ forward: 2 * once.forward, backward: 0, secondOrder: 0 });

  const seprog = await engine.createEditor(TINY_EDITOR, model);
  const enn = await engine.createEditor({ kind: "enn" }, model);
  const rate = { learningRate: 0.001 };
  const ofSeprog = whole((await seprog.trainStep(tinyEpisodes(4), { ...rate, ...detail })).measurement);
  expect(ofSeprog.backward).toBeGreaterThan(0);
  expect(ofSeprog.secondOrder).toBe(0);
  expect(
    whole((await enn.trainStep(tinyEpisodes(4), { ...rate, ...detail })).measurement).secondOrder,
  ).toBeGreaterThan(0);
  const { measurement } = await seprog.trainStep(tinyEpisodes(4), { ...rate, measure: true });
  expect(measurement?.total.flops).toBeNull();
});

test("every call that can be measured is", async () => {
  const editor = await engine.createEditor(TINY_EDITOR, model);
  const measure = true;
  const results = [
    await model.score(tinyPairs(2), { measure }),
    await model.generate(tinyRows(2, 5), { measure, maxNewTokens: 3 }),
    await model.compare(model, tinyPairs(2), { measure }),
    await editor.validate(tinyEpisodes(2), { measure }),
    await editor.edit(tinyRequests(2), model, { measure }),
  ];
  for (const { measurement } of results) {
    if (measurement === undefined) throw new Error("expected a measurement");
    expectSound(measurement);
  }
});

test("peaks start anew with every call", async () => {
  const large = await model.score(tinyPairs(200, 40), { measure: true });
  const small = await model.score(tinyPairs(1, 4), { measure: true });
  const growth = ({ measurement }: typeof large): number =>
    (measurement?.total.peakBytes ?? 0) - (measurement?.total.baselineBytes ?? 0);
  expect(growth(small)).toBeLessThan(growth(large) / 10);
});

test("memoryStats: its peak is the highest since the last reset", async () => {
  await engine.memoryStats({ resetPeak: true });
  await model.score(tinyPairs(200, 40));
  const high = await engine.memoryStats({ resetPeak: true });
  const low = await engine.memoryStats();
  expect(high.peakBytes).toBeGreaterThan(high.allocatedBytes + 200 * 40 * 16 * 4);
  expect(low.peakBytes).toBe(low.allocatedBytes);
  expect(high.allocatedBytes).toBe(low.allocatedBytes);
  expect(low.reservedBytes).toBeGreaterThanOrEqual(low.allocatedBytes);
  expect(low.processPeakBytes).toBeGreaterThan(low.allocatedBytes);
});

test("a model's own bytes are counted exactly", async () => {
  const before = await engine.memoryStats();
  const other = await engine.createModel(TINY_T5, { seed: 2 });
  const after = await engine.memoryStats();
  expect(after.allocatedBytes - before.allocatedBytes).toBe(other.info.parameterCount * 4);
});

test("the event loop turns while the engine works", async () => {
  let working = true;
  const job = model.generate(tinyRows(4, 5), { maxNewTokens: 200, stopAtEnd: false }).finally(() => {
    working = false;
  });
  let turns = 0;
  while (working) {
    await turn();
    turns++;
  }
  await job;
  expect(turns).toBeGreaterThan(10);
});

test("a loop of short calls lets the event loop turn", async () => {
  let turned = false;
  setImmediate(() => {
    turned = true;
  });
  for (let call = 0; call < 100 && !turned; call++) await engine.memoryStats();
  expect(turned).toBe(true);
});

test("an engine tells how long it ran calls, and nothing of the time between them", async () => {
  const before = engine.busyMs;
  const startedMs = performance.now();
  const { measurement } = await model.score(tinyPairs(200, 40), { measure: true });
  const [busyMs, elapsedMs] = [engine.busyMs - before, performance.now() - startedMs];
  expect(busyMs).toBeGreaterThanOrEqual((measurement?.total.wallNs ?? Number.NaN) / 1e6);
  expect(busyMs).toBeLessThanOrEqual(elapsedMs);
  await turn();
  expect(engine.busyMs - before).toBe(busyMs);
});
