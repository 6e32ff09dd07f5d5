// Every kind of method on one tiny world: trained where it learns, measured, resumed, one edit on top of another.
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { suiteCells } from "../../src/bench/grid.js";
import { ContentHashes, editorOrigin } from "../../src/bench/identity.js";
import { trainToFolder } from "../../src/bench/train_run.js";
import { requireBuiltPackage } from "../support/built_package.js";
import { suiteOf } from "../support/suite_of.js";
import { runTinySuite, type TinyRun } from "../support/tiny_bench.js";
import { TINY_ENGINE, TinyWorld } from "../support/tiny_world.js";

beforeAll(requireBuiltPackage);

let world: TinyWorld;
beforeAll(async () => {
  world = await TinyWorld.create();
  await world.pretrain("model");
});
afterAll(() => world.dispose());

const training = (learningRate: number) => ({
  k: [2],
  episodesPerStep: 2,
  labels: "given",
  editPhrasing: "canonical",
  learningRate,
  warmupSteps: 5,
  steps: 30,
  stepsPerEpoch: 10,
  validateEveryEpochs: 3,
  validationEpisodes: 2,
});

/** Rates that move the tiny base within a few steps. */
const METHODS = {
  ft: {
    editor: { kind: "ft" },
    tune: { path: "editLearningRate", values: [1e-8, 1e-3], edits: 4 },
  },
  "ft-kl": { editor: { kind: "ft", objective: "kl", editLearningRate: 1e-3, maxSteps: 20 } },
  enn: { editor: { kind: "enn", microBatch: 2 }, training: training(1e-4) },
  slag: { editor: { kind: "slag", innerSteps: 2, otherRows: 2 }, training: training(3e-4) },
  mend: { editor: { kind: "mend" }, training: training(1e-4) },
  serac: {
    editor: { kind: "serac", classifier: { source: "directory", path: "bert-mini" } },
    training: training(1e-4),
  },
  lookup: { editor: { kind: "lookup" } },
  nearest: { editor: { kind: "nearest" } },
};
const UNTRAINED = ["ft", "ft-kl", "lookup", "nearest"];

const suite = (methods: object, evaluation: object = {}): object => ({
  name: "tiny",
  model: world.path("model"),
  datasets: [{ name: world.dataFile }],
  k: [2],
  methods,
  evaluation: { maxEdits: 6, minEpisodes: 3, timing: { warmUps: 1, repetitions: 2 }, ...evaluation },
});

describe("methods of every kind", () => {
  let run: TinyRun;
  beforeAll(async () => {
    run = await runTinySuite(
      world.path("methods"),
      suite({ seprog: world.method({ steps: 60 }), ...METHODS }),
    );
  });

  const of = (method: string) => {
    const result = run.results.get(method);
    if (result === undefined) throw new Error(`expected a cell of ${method}`);
    return result;
  };

  it("are measured on the same episodes, beside the same base", () => {
    expect(run.failures).toEqual([]);
    expect([...run.results.keys()].sort()).toEqual(["seprog", ...Object.keys(METHODS)].sort());
    const results = [...run.results.values()];
    expect(new Set(results.map(({ provenance }) => provenance.episodesChecksum)).size).toBe(1);
    expect(new Set(results.map(({ provenance }) => provenance.modelChecksum)).size).toBe(1);
    for (const { cell } of results) expect(cell.base).toEqual(of("seprog").cell.base);
  });

  it("have an editor's folder and a training step only where something is learned", () => {
    const trained = ["seprog", ...Object.keys(METHODS)].filter((name) => !UNTRAINED.includes(name));
    expect(run.editors).toHaveLength(trained.length);
    for (const name of trained)
      expect([of(name).provenance.training, of(name).cell.train === null], name).toEqual(["trained", false]);
    for (const name of UNTRAINED)
      expect([of(name).provenance.training, of(name).cell.train], name).toEqual(["untrained", null]);
  });

  it("tell what fitting weights took, and what was tuned", () => {
    const { editing, perEpisode, tuning } = of("ft");
    expect(perEpisode.editing).toHaveLength(of("ft").provenance.episodes);
    expect(editing.steps).toBeGreaterThan(0);
    expect(editing).toHaveProperty("stoppedByLimit");
    // Steps of 1e-8 change nothing: the other value learns the edits.
    expect(tuning).toMatchObject({ option: "editor.editLearningRate", value: 1e-3 });
    expect(of("ft").cell.ESself.value).toBe(1);
    expect(of("seprog").perEpisode.editing).toEqual([]);
  });

  it("find an edit's own words, and leave others alone, where they are looked up", () => {
    expect([of("lookup").cell.ESself.value, of("lookup").cell.DD.value]).toEqual([1, 0]);
  });

  it("stand side by side in the report", async () => {
    const report = await readFile(run.reports.markdown, "utf8");
    for (const text of ["ES and DD of every method", "Paired tests", "What editing took: ft", "tuned"])
      expect(report).toContain(text);
  });
});

describe("edits one after the other", () => {
  it("are made on top of each other by every kind, and followed", async () => {
    const { slag, mend, lookup, nearest } = METHODS;
    const methods = {
      seprog: world.method({ steps: 60 }),
      ft: { editor: { kind: "ft", editLearningRate: 1e-3 } },
      slag,
      mend,
      lookup,
      nearest,
    };
    const run = await runTinySuite(world.path("methods"), {
      ...suite(methods, { sequential: { schedule: "immediate" } }),
    });
    expect(run.failures).toEqual([]);
    // Trained editors are those of the run before.
    expect(run.events.filter((event) => event.type === "editor" && !event.reused)).toEqual([]);
    for (const [name, { cell, retention }] of run.results)
      if (name in methods) {
        expect(cell.schedule, name).toBe("immediate");
        expect(
          retention.map(({ age }) => age),
          name,
        ).toEqual([0, 1]);
      }
    const lookup2 = run.results.get("lookup");
    expect(lookup2?.cell.ESself.value).toBe(1);
  });
});

describe("a budget of training time", () => {
  it("stops a training, keeps it, and goes on with more", async () => {
    const methods = { enn: { ...METHODS.enn, training: { ...training(1e-4), steps: 31 } } };
    const folder = world.path("budget");
    const first = await runTinySuite(folder, suite(methods), { budgetMinutes: 1e-4 });
    expect(first.summary.cells).toEqual([]);
    expect(first.summary.overBudget).toMatchObject([{ method: "enn", K: 2, budgetMinutes: 1e-4, steps: 31 }]);
    const stopped = first.summary.overBudget[0]?.step ?? Number.NaN;
    expect(stopped).toBeLessThan(31);
    const second = await runTinySuite(folder, suite(methods), { budgetMinutes: 1000 });
    expect(second.summary.overBudget).toEqual([]);
    expect(second.summary.cells.map(({ method }) => method)).toEqual(["enn"]);
  });
});

describe("a training of every kind", () => {
  const trainable = Object.keys(METHODS).filter((name) => !UNTRAINED.includes(name));

  async function trainInto(method: string, name: string, stopAt?: number) {
    const [task] = suiteCells(suiteOf(suite({ [method]: METHODS[method as keyof typeof METHODS] })));
    if (task === undefined) throw new Error(`expected a cell of ${method}`);
    const contents = new ContentHashes();
    const folder = world.path("model");
    const model = { name: folder, folder, checksum: await contents.model(folder) };
    const stopping = new AbortController();
    return trainToFolder(
      {
        kind: "train",
        engine: TINY_ENGINE,
        methodName: method,
        origin: await editorOrigin(task.editor, task.text, model, contents),
        model,
        outDirectory: world.path(name),
        workDirectory: world.path(`${name}.work`),
      },
      {
        signal: stopping.signal,
        onEvent: (event) => {
          if (event.type === "progress" && event.phase === "train" && event.step === stopAt)
            stopping.abort(new Error("stopped by the test"));
        },
      },
    );
  }

  it.each(trainable)("stopped and taken up again ends with the same bits: %s", async (method) => {
    await trainInto(method, `${method}-whole`);
    await expect(trainInto(method, `${method}-parts`, 17)).rejects.toThrow("stopped by the test");
    await trainInto(method, `${method}-parts`);
    const weightsOf = (name: string) => readFile(world.path(name, "editor.safetensors"));
    expect((await weightsOf(`${method}-parts`)).equals(await weightsOf(`${method}-whole`))).toBe(true);
  });
});
