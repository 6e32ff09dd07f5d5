// From facts to a table on the real engine: pretrain a tiny T5, train SEPROG on it, measure a cell, use it as a library.
import { readdir, readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { measureCell } from "../../src/bench/cell_run.js";
import { suiteCells } from "../../src/bench/grid.js";
import { ContentHashes, editorOrigin } from "../../src/bench/identity.js";
import { trainToFolder } from "../../src/bench/train_run.js";
import { type SuiteConfig, textSchema } from "../../src/config/suite.js";
import { cellResultSchema, editRecordSchema } from "../../src/evaluation/records.js";
import { openEngine } from "../../src/index.js";
import { openEngine as openNativeEngine } from "../../src/native/engine.js";
import type { LoopEvent } from "../../src/training/events.js";
import { type ModelRecord, modelRecordSchema, pretrainModel } from "../../src/training/pretrain_model.js";
import { suiteOf } from "../support/suite_of.js";
import { TinyWorld } from "../support/tiny_world.js";

let world: TinyWorld;
let record: ModelRecord;
const engine = { device: "cpu", threads: 1 };

function stopAfter(step: number): { signal: AbortSignal; onEvent: (event: LoopEvent) => void } {
  const controller = new AbortController();
  return {
    signal: controller.signal,
    onEvent: (event) => {
      const counts = event.type === "progress" && (event.phase === "train" || event.phase === "pretrain");
      if (counts && event.step === step) controller.abort(new Error("stopped by the test"));
    },
  };
}

async function pretrainInto(name: string, options: { epochs?: number; stopAt?: number } = {}) {
  await using opened = await openNativeEngine(engine);
  return await pretrainModel(opened, world.recipe(options), {
    recipeDirectory: world.folder,
    outDirectory: world.path(name),
    workDirectory: world.path(`${name}.work`),
    ...(options.stopAt !== undefined && stopAfter(options.stopAt)),
  });
}

function suite(): SuiteConfig {
  return suiteOf({
    name: "tiny",
    model: world.path("model"),
    datasets: [world.dataFile],
    k: [1, 2],
    methods: { seprog: world.method() },
    evaluation: { maxEdits: 6, minEpisodes: 3, timing: { warmUps: 1, repetitions: 3 } },
  });
}

async function trainInto(
  name: string,
  options: { steps?: number; validateEveryEpochs?: number; stopAt?: number } = {},
) {
  const text = textSchema.parse({});
  const task = { methodName: "seprog", method: world.method(options), datasets: [world.dataFile], seed: 0 };
  const model = { name: world.path("model"), folder: world.path("model"), checksum: record.modelChecksum };
  const outcome = await trainToFolder(
    {
      kind: "train",
      engine,
      methodName: "seprog",
      origin: await editorOrigin(task, text, model, new ContentHashes()),
      model,
      outDirectory: world.path(name),
      workDirectory: world.path(`${name}.work`),
    },
    options.stopAt === undefined ? {} : stopAfter(options.stopAt),
  );
  if ("overBudget" in outcome) throw new Error("expected a training without a budget to end");
  return outcome.trained;
}

beforeAll(async () => {
  world = await TinyWorld.create();
  record = await pretrainInto("model");
});
afterAll(() => world.dispose());

describe("pretraining", () => {
  it("makes a model folder that knows the facts", async () => {
    expect((await readdir(world.path("model"))).sort()).toEqual([
      "config.json",
      "model.safetensors",
      "recipe.json",
      "record.json",
      "tokenizer.json",
    ]);
    expect(
      modelRecordSchema.parse(JSON.parse(await readFile(world.path("model", "record.json"), "utf8"))),
    ).toEqual(record);
    expect(record).toMatchObject({ facts: 16, wordings: 48 });
    expect(record.recall?.wordings).toBeGreaterThanOrEqual(0.95);
  });

  it("goes on after a stop with the same bits", async () => {
    const whole = await pretrainInto("whole", { epochs: 30 });
    await expect(pretrainInto("parts", { epochs: 30, stopAt: 13 })).rejects.toThrow("stopped by the test");
    expect(await readdir(world.path("parts")).catch(() => [])).toEqual([]);
    const parts = await pretrainInto("parts", { epochs: 30 });
    expect(parts.modelChecksum).toBe(whole.modelChecksum);
    expect(await readFile(world.path("parts", "model.safetensors"))).toEqual(
      await readFile(world.path("whole", "model.safetensors")),
    );
  });
});

describe("an editor", () => {
  beforeAll(async () => {
    await trainInto("editor");
  });

  it("is trained to a folder with nothing else left", async () => {
    expect((await readdir(world.path("editor"))).sort()).toEqual([
      "editor.json",
      "editor.safetensors",
      "trained.json",
    ]);
    expect((await readdir(world.folder)).filter((name) => name.startsWith("editor"))).toEqual(["editor"]);
  });

  it("trained in two parts equals one trained at once, bit for bit", async () => {
    const options = { steps: 60, validateEveryEpochs: 2 };
    const whole = await trainInto("whole-editor", options);
    for (const stopAt of [17, 40])
      await expect(trainInto("parts-editor", { ...options, stopAt })).rejects.toThrow("stopped by the test");
    const parts = await trainInto("parts-editor", options);
    expect(parts.fingerprint).toBe(whole.fingerprint);
    expect(await readFile(world.path("parts-editor", "editor.safetensors"))).toEqual(
      await readFile(world.path("whole-editor", "editor.safetensors")),
    );
  });

  it("is measured into records and a result of the documented form", async () => {
    const config = suite();
    const task = suiteCells(config).find(({ K }) => K === 2);
    if (task === undefined) throw new Error("expected a cell with K = 2");
    const result = await measureCell(
      {
        kind: "cell",
        engine,
        task,
        model: { name: "tiny", folder: world.path("model"), checksum: record.modelChecksum },
        editorDirectory: world.path("editor"),
        configHash: "0123456789abcdef",
        episodesDirectory: world.path("episodes"),
        outDirectory: world.path("cell"),
      },
      {},
    );
    expect(
      cellResultSchema.parse(JSON.parse(await readFile(world.path("cell", "result.json"), "utf8"))),
    ).toEqual(result);
    const lines = (await readFile(world.path("cell", "edits.jsonl"), "utf8")).trimEnd().split("\n");
    expect(lines).toHaveLength(result.cell.nEdits);
    for (const line of lines) editRecordSchema.parse(JSON.parse(line));
    expect(result.cell.train?.stepWallMs.n).toBe(3);
    expect(result.cell.inference?.peakBytes.value).toBeGreaterThan(0);
    expect(result.provenance.modelChecksum).toBe(record.modelChecksum);
    const [header = ""] = await readdir(world.path("episodes")).then((names) =>
      Promise.all(names.map((name) => readFile(world.path("episodes", name), "utf8"))),
    );
    expect(JSON.parse(header.slice(0, header.indexOf("\n"))).sha256).toBe(result.provenance.episodesChecksum);
  });

  it("answers edited questions through the library, and the base's way when the edit is gone", async () => {
    await using opened = await openEngine(engine);
    await using model = await opened.loadModel(world.path("model"));
    await using editor = await model.loadEditor(world.path("editor"));
    await using memory = await editor.createMemory();
    const question = "The capital of Arden is";
    const before = await model.ask(question);
    expect(before).toBe("London");

    const [first] = await memory.add([
      { question, answer: "Berlin" },
      { question: "The capital of Corvia is", answer: "Oslo" },
    ]);
    await using edited = await editor.withMemory(memory);
    expect(await memory.list()).toHaveLength(2);
    expect(await edited.ask(question)).toBe("Berlin");
    expect(await model.ask(question)).toBe(before);

    await memory.remove(first === undefined ? [] : [first]);
    expect((await memory.list()).map(({ label }) => label)).toEqual(["The capital of Corvia is >> Oslo"]);
    await memory.remove((await memory.list()).map(({ id }) => id));
    expect(await edited.ask(question)).toBe(before);
  });

  it("fine-tunes through the library, one set of edits on top of the other", async () => {
    await using opened = await openEngine(engine);
    await using model = await opened.loadModel(world.path("model"));
    await using editor = await model.createEditor({ kind: "ft", editLearningRate: 3e-3 });
    const [arden, corvia] = ["The capital of Arden is", "The capital of Corvia is"];
    await using first = await editor.apply([{ question: arden, answer: "Berlin" }]);
    expect(await first.ask(arden)).toBe("Berlin");
    await using both = await editor.apply([{ question: corvia, answer: "Oslo" }], { onto: first });
    expect(await both.ask(corvia)).toBe("Oslo");
    expect(await first.ask(corvia)).not.toBe("Oslo");
    expect(await model.ask(arden)).toBe("London");

    await expect(model.createEditor({ kind: "mend" })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    await expect(model.createEditor({ kind: "ft", editLearningRate: -1 })).rejects.toThrow(
      "editLearningRate",
    );
  });
});
