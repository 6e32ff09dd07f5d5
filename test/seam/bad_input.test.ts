// Each bad argument with its code and the words that tell the user where it is. Afterwards the engine still works.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { NativeModel, Spec } from "../../src/native/addon.js";
import {
  type EditMemory,
  type Editor,
  type Engine,
  type Model,
  openEngine,
} from "../../src/native/engine.js";
import { loadAddon } from "../../src/native/load.js";
import {
  TINY_BERT,
  TINY_EDITOR,
  TINY_T5,
  tinyEpisodes,
  tinyPairs,
  tinyRequests,
  tinyRows,
  VOCABULARY,
} from "../support/tiny_models.js";

let engine: Engine;
let model: Model;
let classifier: Model;
let editor: Editor;
let memory: EditMemory;
beforeAll(async () => {
  engine = await openEngine({ threads: 1 });
  model = await engine.createModel(TINY_T5, { seed: 1 });
  classifier = await engine.createModel(TINY_BERT, { seed: 1 });
  editor = await engine.createEditor(TINY_EDITOR, model);
  memory = await editor.createMemory();
});
afterAll(() => engine.close());

/** What JavaScript callers may pass whatever the types say. */
// biome-ignore lint/suspicious/noExplicitAny: the point of these tests
const wrong = (value: unknown): any => value;

const rows = (ids: readonly number[], lengths: readonly number[]) => ({
  ids: Int32Array.from(ids),
  lengths: Int32Array.from(lengths),
});
const pair = { source: rows([5, 6], [2]), target: rows([7, 1], [2]) };
const cyclic: { [key: string]: unknown } = { ...TINY_T5 };
cyclic.self = cyclic;

type Case = readonly [name: string, call: () => Promise<unknown>, code: string, words: RegExp];

const CASES: readonly Case[] = [
  [
    "an id beyond the vocabulary",
    () => model.score({ ...pair, source: rows([5, VOCABULARY], [2]) }),
    "DATA_INVALID",
    /64/,
  ],
  ["a negative id", () => model.score({ ...pair, target: rows([-1, 1], [2]) }), "DATA_INVALID", /-1/],
  [
    "lengths that add up to less",
    () => model.score({ ...pair, source: rows([5, 6], [1]) }),
    "DATA_INVALID",
    /batch\.source/,
  ],
  ["lengths that add up to more", () => model.generate(rows([5, 6], [9])), "DATA_INVALID", /`source`/],
  ["a negative length", () => model.generate(rows([5], [2, -1])), "DATA_INVALID", /source\.lengths/],
  [
    "more sources than targets",
    () => model.score({ source: rows([5, 6], [1, 1]), target: rows([1], [1]) }),
    "DATA_INVALID",
    /batch\.target/,
  ],
  [
    "no rows at all",
    () => model.score({ source: rows([], []), target: rows([], []) }),
    "DATA_INVALID",
    /row/,
  ],
  [
    "types for a part of the ids",
    () =>
      classifier.score({ source: { ...rows([5, 6], [2]), types: Int32Array.of(1) }, target: rows([1], [1]) }),
    "DATA_INVALID",
    /source\.types/,
  ],
  [
    "a type that the model does not have",
    () =>
      classifier.score({
        source: { ...rows([5, 6], [2]), types: Int32Array.of(0, -2) },
        target: rows([1], [1]),
      }),
    "DATA_INVALID",
    /source\.types.*-2/,
  ],
  [
    "types as a plain array",
    () => classifier.generate(wrong({ ...rows([5], [1]), types: [0] })),
    "CONFIG_INVALID",
    /Int32Array.*source\.types/,
  ],
  [
    "two classes in one row",
    () => classifier.score({ source: rows([5], [1]), target: rows([0, 1], [2]) }),
    "DATA_INVALID",
    /exactly one class id/,
  ],
  [
    "a class that the model does not have",
    () => classifier.score({ source: rows([5], [1]), target: rows([2], [1]) }),
    "DATA_INVALID",
    /\[0, 2\)/,
  ],
  [
    "more positions than there are",
    () => classifier.generate(rows(new Array(25).fill(5), [25])),
    "DATA_INVALID",
    /at most 24 positions/,
  ],
  ["a source without [CLS]", () => classifier.generate(rows([], [0])), "DATA_INVALID", /\[CLS\]/],
  [
    "ids as a plain array",
    () => model.generate(wrong({ ids: [5], lengths: Int32Array.of(1) })),
    "CONFIG_INVALID",
    /Int32Array.*source\.ids/,
  ],
  [
    "ids as floats",
    () => model.generate(wrong({ ids: Float32Array.of(5), lengths: Int32Array.of(1) })),
    "CONFIG_INVALID",
    /source\.ids/,
  ],
  ["no batch", () => model.score(wrong(undefined)), "CONFIG_INVALID", /`batch`.*undefined/],
  ["null for rows", () => model.generate(wrong(null)), "CONFIG_INVALID", /`source`.*null/],
  [
    "an unknown option",
    () => model.generate(tinyRows(1, 3), wrong({ maxTokens: 3 })),
    "CONFIG_INVALID",
    /options\.maxTokens/,
  ],
  [
    "an option of a wrong type",
    () => model.generate(tinyRows(1, 3), wrong({ maxNewTokens: "3" })),
    "CONFIG_INVALID",
    /options\.maxNewTokens.*"3"/,
  ],
  ["half a token", () => model.generate(tinyRows(1, 3), { maxNewTokens: 2.5 }), "CONFIG_INVALID", /2\.5/],
  ["no tokens", () => model.generate(tinyRows(1, 3), { maxNewTokens: 0 }), "CONFIG_INVALID", /1 or more/],
  [
    "NaN tokens",
    () => model.generate(tinyRows(1, 3), { maxNewTokens: Number.NaN }),
    "CONFIG_INVALID",
    /finite/,
  ],
  ["options that are no object", () => model.score(tinyPairs(1), wrong(5)), "CONFIG_INVALID", /`options`.*5/],
  [
    "measure: 1",
    () => model.score(tinyPairs(1), wrong({ measure: 1 })),
    "CONFIG_INVALID",
    /options\.measure/,
  ],
  [
    "a made-up cancel token",
    () => model.score(tinyPairs(1), wrong({ cancel: {} })),
    "CONFIG_INVALID",
    /CancelToken/,
  ],
  [
    "a config without a size",
    () => engine.createModel({ model_type: "t5" }, { seed: 1 }),
    "CONFIG_INVALID",
    /d_model/,
  ],
  [
    "a config of an unknown family",
    () => engine.createModel({ ...TINY_T5, model_type: "t6" }, { seed: 1 }),
    "UNSUPPORTED",
    /t6/,
  ],
  [
    "NaN in a config",
    () => engine.createModel({ ...TINY_T5, d_ff: Number.NaN }, { seed: 1 }),
    "CONFIG_INVALID",
    /config\.d_ff.*NaN/,
  ],
  [
    "a function in a config",
    () => engine.createModel(wrong({ ...TINY_T5, d_ff: () => 1 }), { seed: 1 }),
    "CONFIG_INVALID",
    /config\.d_ff.*function/,
  ],
  [
    "a bigint in a config",
    () => engine.createModel(wrong({ ...TINY_T5, d_ff: 1n }), { seed: 1 }),
    "CONFIG_INVALID",
    /config\.d_ff/,
  ],
  [
    "a config that contains itself",
    () => engine.createModel(wrong(cyclic), { seed: 1 }),
    "CONFIG_INVALID",
    /levels/,
  ],
  ["no seed", () => engine.createModel(TINY_T5, wrong({})), "CONFIG_INVALID", /options\.seed/],
  [
    "no options where one is required",
    () => engine.createModel(TINY_T5, wrong(undefined)),
    "CONFIG_INVALID",
    /options\.seed/,
  ],
  [
    "a folder that is not there",
    () => engine.loadModel("/nonexistent/model"),
    "CHECKPOINT_INVALID",
    /nonexistent/,
  ],
  ["a path that would be cut", () => engine.loadModel("/tmp\0/model"), "CONFIG_INVALID", /`directory`/],
  ["a folder that is no text", () => engine.loadModel(wrong(7)), "CONFIG_INVALID", /`directory`.*7/],
  ["an unknown editor", () => engine.createEditor({ kind: "magic" }, model), "CONFIG_INVALID", /magic/],
  [
    "an unknown editor option",
    () => engine.createEditor({ ...TINY_EDITOR, promtLength: 3 }, model),
    "CONFIG_INVALID",
    /promtLength/,
  ],
  [
    "an editor for a base as base",
    () => engine.createEditor(TINY_EDITOR, wrong(editor)),
    "CONFIG_INVALID",
    /Model of this engine for `base`/,
  ],
  [
    "nothing as base",
    () => engine.createEditor(TINY_EDITOR, wrong({})),
    "CONFIG_INVALID",
    /`base`.*undefined/,
  ],
  [
    "a proxy of a handle",
    () => engine.createEditor(TINY_EDITOR, wrong({ native: new Proxy(model.native, {}) })),
    "CONFIG_INVALID",
    /`base`/,
  ],
  [
    "an unknown tuner option",
    () => engine.createFineTuner({ optimiser: {} }, model),
    "CONFIG_INVALID",
    /optimiser/,
  ],
  ["no learning rate", () => editor.trainStep(tinyEpisodes(2), wrong({})), "CONFIG_INVALID", /learningRate/],
  [
    "a NaN learning rate",
    () => editor.trainStep(tinyEpisodes(2), { learningRate: Number.NaN }),
    "CONFIG_INVALID",
    /learningRate.*NaN/,
  ],
  [
    "a negative learning rate",
    () => editor.trainStep(tinyEpisodes(2), { learningRate: -1 }),
    "CONFIG_INVALID",
    /learningRate/,
  ],
  ["no episodes", () => editor.validate({ ...tinyEpisodes(2), episodes: 0 }), "DATA_INVALID", /0 episodes/],
  [
    "edits that do not divide into the episodes",
    () => editor.validate({ ...tinyEpisodes(3), episodes: 2 }),
    "DATA_INVALID",
    /2 episodes/,
  ],
  [
    "an out-of-scope row too few",
    () => editor.validate({ ...tinyEpisodes(3), outScope: tinyPairs(2) }),
    "DATA_INVALID",
    /batch\.outScope/,
  ],
  [
    "an out-of-vocabulary edit text",
    () => editor.validate({ ...tinyEpisodes(1), editText: rows([999], [1]) }),
    "DATA_INVALID",
    /999/,
  ],
  [
    "a label too few",
    () => editor.edit({ ...tinyRequests(2), labels: ["one"] }, model),
    "DATA_INVALID",
    /labels/,
  ],
  [
    "labels that are no texts",
    () => editor.edit(wrong({ ...tinyRequests(1), labels: [1] }), model),
    "CONFIG_INVALID",
    /requests\.labels\[0\]/,
  ],
  ["an editor as a scorer", () => model.compare(wrong(editor), tinyPairs(1)), "CONFIG_INVALID", /`other`/],
  [
    "an unknown gate",
    () => editor.withMemory(memory, wrong({ gate: "open" })),
    "CONFIG_INVALID",
    /options\.gate/,
  ],
  ["a model as a memory", () => editor.withMemory(wrong(model)), "CONFIG_INVALID", /`memory`/],
  [
    "more labels than texts in a memory",
    () => memory.add(tinyRows(1, 3), ["a", "b"]),
    "DATA_INVALID",
    /labels/,
  ],
  ["an id that no row has", () => memory.delete([41]), "DATA_INVALID", /41/],
  ["an id that is no number", () => memory.delete(wrong(["1"])), "CONFIG_INVALID", /ids\[0\]/],
  ["half an id", () => memory.update(0.5, tinyRows(1, 3), "x"), "CONFIG_INVALID", /`id`/],
  ["a snapshot that was not taken", () => memory.rollback(12), "DATA_INVALID", /12/],
  [
    "a memory file that is not there",
    () => editor.loadMemory("/nonexistent/memory.safetensors"),
    "CHECKPOINT_INVALID",
    /nonexistent/,
  ],
  [
    "an editor folder that is not there",
    () => editor.restore("/nonexistent/editor"),
    "CHECKPOINT_INVALID",
    /nonexistent/,
  ],
  ["an unknown device", () => openEngine({ device: "gpu" }), "CONFIG_INVALID", /engine\.device.*gpu/],
  ["a device that is not there", () => openEngine({ device: "cuda:99" }), "UNSUPPORTED", /cuda:99/],
  ["no threads", () => openEngine({ threads: 0 }), "CONFIG_INVALID", /engine\.threads.*0/],
  ["an unknown engine option", () => openEngine(wrong({ thread: 1 })), "CONFIG_INVALID", /engine\.thread/],
  ["engine options that are no object", () => openEngine(wrong("cpu")), "CONFIG_INVALID", /engine/],
];

describe("bad input rejects with a code and says where it is", () => {
  test.each(CASES)("%s", async (_name, call, code, words) => {
    await expect(call()).rejects.toMatchObject({
      name: "SeprogError",
      code,
      message: expect.stringMatching(words),
    });
    await expect(model.score(tinyPairs(2))).resolves.toBeDefined();
  });
});

test("classes that only an engine makes cannot be constructed", () => {
  const { constructor: modelClass } = model.native;
  expect(() => Reflect.construct(modelClass, [])).toThrow(/from a method of an engine/);
  class Derived extends wrong(modelClass) {}
  expect(() => new Derived()).toThrow(/from a method of an engine/);
});

test("a method called on something else throws and does not crash", async () => {
  const { score } = Object.getPrototypeOf(model.native) as NativeModel;
  for (const receiver of [{}, editor.native, undefined, Object.create(model.native)]) {
    expect(() => score.call(wrong(receiver), tinyPairs(1))).toThrow(TypeError);
  }
});

test("an exception of the caller's own getter comes back as it is", async () => {
  const thrown = new RangeError("from a getter");
  const options: Spec = Object.defineProperty({}, "d_model", {
    enumerable: true,
    get: () => {
      throw thrown;
    },
  });
  await expect(engine.createModel(options, { seed: 1 })).rejects.toBe(thrown);
});

test("the addon's own promises reject too, never throw", async () => {
  const native = model.native;
  const promise = native.score(wrong(1));
  await expect(promise).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  expect(() => new (loadAddon().Engine)(wrong({ threads: "two" }))).toThrow(/engine\.threads/);
});

test("an error's stack leads to the caller", async () => {
  async function theCaller(): Promise<void> {
    await model.score({ ...pair, source: rows([999], [1]) });
  }
  const error = await theCaller().catch((reason: unknown) => reason);
  expect(error).toMatchObject({ stack: expect.stringMatching(/theCaller.*bad_input\.test\.ts/s) });
});
