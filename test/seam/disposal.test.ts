import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Engine, openEngine } from "../../src/native/engine.js";
import {
  ENDLESS,
  TINY_EDITOR,
  TINY_T5,
  TINY_TUNER,
  tinyEpisodes,
  tinyPairs,
  tinyRequests,
  tinyRows,
} from "../support/tiny_models.js";

let engine: Engine;
beforeEach(async () => {
  engine = await openEngine({ threads: 1 });
});
afterEach(() => engine.close());

/** One of every class, each using the one before. */
async function everything() {
  const model = await engine.createModel(TINY_T5, { seed: 1 });
  const editor = await engine.createEditor(TINY_EDITOR, model);
  const tuner = await engine.createFineTuner(TINY_TUNER, model);
  const memory = await editor.createMemory();
  await memory.add(tinyRows(2, 6), ["first", "second"]);
  const view = await editor.withMemory(memory, { gate: "always" });
  const { model: edited } = await editor.edit(tinyRequests(2), model);
  return { model, editor, tuner, memory, view, edited };
}

const CALLS: { [name: string]: (all: Awaited<ReturnType<typeof everything>>) => Promise<unknown> } = {
  model: ({ model }) => model.score(tinyPairs(2)),
  editor: ({ editor }) => editor.validate(tinyEpisodes(2)),
  tuner: ({ tuner }) => tuner.validate(tinyPairs(2)),
  memory: ({ memory }) => memory.size(),
  view: ({ view }) => view.generate(tinyRows(2, 5), { maxNewTokens: 3 }),
  edited: ({ edited }) => edited.score(tinyPairs(2)),
};
const NAMES = Object.keys(CALLS) as (keyof Awaited<ReturnType<typeof everything>>)[];

test("every class: use after disposal is DISPOSED, disposing twice is harmless", async () => {
  const all = await everything();
  for (const name of NAMES) {
    expect(all[name].disposed).toBe(false);
    const disposing = all[name].dispose();
    expect(all[name].disposed).toBe(true);
    await disposing;
    await all[name].dispose();
    await expect(CALLS[name]?.(all)).rejects.toMatchObject({ name: "SeprogError", code: "DISPOSED" });
  }
});

test("any order of disposal leaves what is still held working", async () => {
  for (let first = 0; first < NAMES.length; first++) {
    const all = await everything();
    const order = [...NAMES.slice(first), ...NAMES.slice(0, first)];
    if (first % 2 === 1) order.reverse();
    for (const [position, name] of order.entries()) {
      await all[name].dispose();
      for (const other of order.slice(position + 1)) await CALLS[other]?.(all);
    }
  }
});

test("disposing during a call lets that call end well", async () => {
  const all = await everything();
  const calls = NAMES.map((name) => CALLS[name]?.(all));
  const disposals = NAMES.map((name) => all[name].dispose());
  await Promise.all(calls);
  await Promise.all(disposals);
});

test("disposing gives the memory back", async () => {
  const before = await engine.memoryStats();
  const all = await everything();
  expect((await engine.memoryStats()).allocatedBytes).toBeGreaterThan(before.allocatedBytes);
  for (const name of NAMES) await all[name].dispose();
  expect((await engine.memoryStats()).allocatedBytes).toBe(before.allocatedBytes);
});

test("a collected handle gives its memory back by itself", async () => {
  const before = await engine.memoryStats();
  // Enough that V8, which is told about native bytes, has reason to collect.
  for (let i = 0; i < 200; i++) await engine.createModel({ ...TINY_T5, vocab_size: 20_000 }, { seed: i });
  await expect
    .poll(async () => (await engine.memoryStats()).allocatedBytes - before.allocatedBytes, {
      timeout: 60_000,
    })
    .toBeLessThan(100 * 20_000 * 16 * 4);
});

test("await using disposes at the end of the block", async () => {
  let outside: { disposed: boolean };
  {
    await using model = await engine.createModel(TINY_T5, { seed: 1 });
    outside = model;
    expect(outside.disposed).toBe(false);
  }
  expect(outside.disposed).toBe(true);
});

describe("closing the engine", () => {
  test("lets the running call end, rejects queued ones, disposes everything", async () => {
    const all = await everything();
    const running = all.model.generate(tinyRows(1, 5), { maxNewTokens: 300, stopAtEnd: false });
    // Only when this is answered has the endless one surely been at work before the queue is refused.
    const queued = all.model.score(tinyPairs(2));
    const closing = engine.close();
    expect(engine.closed).toBe(true);
    const outcomes = await Promise.allSettled([running, queued]);
    expect(outcomes[1]).toMatchObject({ status: "rejected", reason: { code: "DISPOSED" } });
    await closing;
    await engine.close();
    for (const name of NAMES) {
      expect(all[name].disposed).toBe(true);
      await all[name].dispose();
      await expect(CALLS[name]?.(all)).rejects.toMatchObject({ code: "DISPOSED" });
    }
    await expect(engine.createModel(TINY_T5, { seed: 1 })).rejects.toMatchObject({ code: "DISPOSED" });
    await expect(engine.memoryStats()).rejects.toMatchObject({ code: "DISPOSED" });
  });

  test("a handle that would have been made meanwhile is refused", async () => {
    const making = engine.createModel({ ...TINY_T5, vocab_size: 50_000, d_model: 64 }, { seed: 1 });
    const closing = engine.close();
    await expect(making).rejects.toMatchObject({ code: "DISPOSED" });
    await closing;
  });

  test("an aborted endless call ends before the engine does", async () => {
    const model = await engine.createModel(TINY_T5, { seed: 1 });
    const abort = new AbortController();
    const endless = model.generate(tinyRows(1, 5), { ...ENDLESS, signal: abort.signal });
    const closing = engine.close();
    abort.abort(new Error("enough"));
    await expect(endless).rejects.toThrow();
    await closing;
  });
});
