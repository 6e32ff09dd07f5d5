// What the addon really exports against what src/native/addon.ts says.
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { NativeEngine } from "../../src/native/addon.js";
import { loadAddon } from "../../src/native/load.js";
import {
  TINY_EDITOR,
  TINY_T5,
  TINY_TUNER,
  tinyEpisodes,
  tinyPairs,
  tinyRequests,
} from "../support/tiny_models.js";

const source = readFileSync(new URL("../../src/native/addon.ts", import.meta.url), "utf8")
  .replace(/\/\*[\s\S]*?\*\//g, "")
  .replace(/\/\/.*$/gm, "");

interface Member {
  readonly name: string;
  readonly optional: boolean;
}

/** The members of an interface, those it extends included. */
function membersOf(interfaceName: string): Member[] {
  const head = new RegExp(`export interface ${interfaceName}(?: extends ([\\w, ]+))? \\{`).exec(source);
  if (head === null) throw new Error(`expected an interface ${interfaceName} in addon.ts`);
  const inherited = (head[1]?.split(",") ?? []).flatMap((parent) => membersOf(parent.trim()));
  const members: Member[] = [];
  let depth = 1;
  let position = head.index + head[0].length;
  let statement = "";
  for (; depth > 0; position++) {
    const character = source.charAt(position);
    if ("{([<".includes(character)) depth++;
    if ("})]>".includes(character) && !statement.endsWith("=")) depth--;
    statement += character;
    if (depth === 1 && character === ";") {
      const member = /^\s*(?:readonly )?(\w+)(\?)?/.exec(statement);
      if (member?.[1]) members.push({ name: member[1], optional: member[2] !== undefined });
      statement = "";
    }
  }
  return [...inherited, ...members];
}

function namesOf(interfaceName: string): string[] {
  return membersOf(interfaceName)
    .map(({ name }) => name)
    .sort();
}

function prototypeNames(object: object): string[] {
  return Object.getOwnPropertyNames(Object.getPrototypeOf(object))
    .filter((name) => name !== "constructor")
    .sort();
}

/** Every required member is there, and nothing that is not typed. */
function expectShape(value: object, interfaceName: string): void {
  const members = membersOf(interfaceName);
  const keys = Object.keys(value);
  expect(keys.filter((key) => !members.some(({ name }) => name === key))).toEqual([]);
  expect(members.filter(({ name, optional }) => !optional && !keys.includes(name))).toEqual([]);
}

const addon = loadAddon();
let engine: NativeEngine;
beforeAll(() => {
  engine = new addon.Engine({ threads: 1 });
});
afterAll(() => engine.close());

test("the parser of this test sees every kind of member", () => {
  expect(namesOf("NativeModel")).toEqual([
    "answer",
    "compare",
    "dispose",
    "disposed",
    "generate",
    "info",
    "save",
    "score",
  ]);
  expect(membersOf("EngineOptions")).toEqual([
    { name: "device", optional: true },
    { name: "threads", optional: true },
    { name: "deterministic", optional: true },
  ]);
});

test("the module exports exactly what NativeAddon says", () => {
  expect(Object.keys(addon).sort()).toEqual(namesOf("NativeAddon"));
});

describe("the members of every class are those of its interface", () => {
  test("Engine and CancelToken", () => {
    expect(prototypeNames(engine)).toEqual(namesOf("NativeEngine"));
    expect(prototypeNames(new addon.CancelToken())).toEqual(namesOf("NativeCancelToken"));
  });

  test("Model, EditedModel, Editor, FineTuner and EditMemory", async () => {
    const model = await engine.createModel(TINY_T5, { seed: 1 });
    expect(prototypeNames(model)).toEqual(namesOf("NativeModel"));
    const editor = await engine.createEditor(TINY_EDITOR, model);
    expect(prototypeNames(editor)).toEqual(namesOf("NativeEditor"));
    const { model: edited } = await editor.edit(tinyRequests(2), model);
    expect(prototypeNames(edited)).toEqual(namesOf("NativeScorer"));
    const memory = await editor.createMemory();
    expect(prototypeNames(memory)).toEqual(namesOf("NativeEditMemory"));
    const tuner = await engine.createFineTuner(TINY_TUNER, model);
    expect(prototypeNames(tuner)).toEqual(namesOf("NativeFineTuner"));
  });
});

test("results have the members of their interfaces", async () => {
  expectShape(addon.buildInfo(), "BuildInfo");
  expectShape(addon.kernels(), "KernelInfo");
  for (const device of addon.listDevices()) expectShape(device, "DeviceInfo");
  expectShape(await engine.memoryStats(), "MemoryStats");
  expectShape(await engine.matmulBackend(), "MatmulBackend");
  const model = await engine.createModel(TINY_T5, { seed: 1 });
  expectShape(model.info, "ModelInfo");
  const scores = await model.score(tinyPairs(2), { measure: true });
  expectShape(scores, "TokenScores");
  const generation = await model.generate(tinyPairs(2).source, { maxNewTokens: 2 });
  expectShape(generation, "Generation");
  expectShape(generation.tokens, "TokenRows");
  const { measurement } = scores;
  if (measurement === undefined) throw new Error("expected a measurement");
  expectShape(measurement, "Measurement");
  expectShape(measurement.total, "PhaseRecord");
  const editor = await engine.createEditor(TINY_EDITOR, model);
  expectShape(await editor.trainStep(tinyEpisodes(2), { learningRate: 0.001 }), "StepResult");
  const { model: edited } = await editor.edit(tinyRequests(2), model);
  const { scope } = await edited.score(tinyPairs(2));
  if (scope === undefined) throw new Error("expected a scope decision of a prefixed model");
  expectShape(scope, "ScopeDecision");
});

test("what the build tells about itself", () => {
  const build = addon.buildInfo();
  expect(build.libtorchLoaded).toBe(build.libtorchCompiled);
  expect(build.version).toMatch(/^\d+\.\d+\.\d+/);
  expect(addon.listDevices()[0]).toMatchObject({ name: "cpu", computeCapability: null });
  expect(addon.selfTest()).toBe(true);
});
