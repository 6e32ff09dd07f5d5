// Every kind of method on one tiny world: trained where it learns, measured, resumed, one edit on top of another.
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EditSession } from "../../src/bench/edit_session.js";
import { suiteCells } from "../../src/bench/grid.js";
import { ContentHashes, editorOrigin } from "../../src/bench/identity.js";
import { trainToFolder } from "../../src/bench/train_run.js";
import { parseOverrides } from "../../src/config/overrides.js";
import { readTrained } from "../../src/training/trained_editors.js";
import { requireBuiltPackage } from "../support/built_package.js";
import { runProgram } from "../support/program.js";
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
    expect([of("lookup").cell.ESself.value, of("lookup").cell.DD?.value]).toEqual([1, 0]);
  });

  it("stand side by side in the report", async () => {
    const report = await readFile(run.reports.markdown, "utf8");
    for (const text of ["ES and DD of every method", "Paired tests", "What editing took: ft", "tuned"])
      expect(report).toContain(text);
  });
});

describe("edits that are kept in a file", () => {
  const arden = { question: "The capital of Arden is", answer: "Berlin" };
  const corvia = { question: "The capital of Corvia is", answer: "Oslo" };

  /** By name: where the first suite left its trained editors; kinds without a training are their own. */
  async function editors(): Promise<Map<string, string>> {
    const folder = world.path("methods", "editors");
    const paths = (await readdir(folder)).map((name) => join(folder, name));
    const named = paths.map(async (path) => [(await readTrained(path)).methodName, path] as const);
    return new Map([
      ...(await Promise.all(named)),
      ["ft", "ft"],
      ["lookup", "lookup"],
      ["nearest", "nearest"],
    ]);
  }

  const open = (editor: string, memoryFile: string) =>
    EditSession.open({
      editor,
      ...(UNTRAINED.includes(editor) && { model: world.path("model") }),
      editorOptions: editor === "ft" ? parseOverrides(["editLearningRate=3e-3"]) : [],
      memoryFile,
      memoryMustExist: false,
      engine: TINY_ENGINE,
    });

  it.each(["seprog", "enn", "slag", "mend", "serac", "ft", "lookup", "nearest"])(
    "are there again in the next session, and can be taken back: %s",
    async (name) => {
      const editor = (await editors()).get(name) ?? "";
      const file = world.path(`${name}.edits`);
      const questions = [arden.question, corvia.question, "The capital of Pellia is"];
      const asked = await (async () => {
        await using session = await open(editor, file);
        expect(await session.add([arden, corvia])).toEqual([1, 2]);
        return await session.ask(questions);
      })();
      await using again = await open(editor, file);
      expect((await again.list()).map(({ id, label }) => [id, label])).toEqual([
        [1, "The capital of Arden is >> Berlin"],
        [2, "The capital of Corvia is >> Oslo"],
      ]);
      expect(await again.ask(questions)).toEqual(asked);
      expect(asked.map(({ edits }) => edits)).toEqual([2, 2, 2]);
      if (name === "lookup" || name === "ft")
        expect(asked.slice(0, 2).map(({ edited }) => edited)).toEqual(["Berlin", "Oslo"]);
      const decides = ["seprog", "serac", "lookup", "nearest"].includes(name);
      expect(asked[0]?.gate === null).toBe(!decides);
      if (decides) expect(asked[0]?.edit?.id).toBe(1);

      await expect(again.remove([1, 7])).rejects.toMatchObject({ code: "DATA_INVALID" });
      await again.remove([1, 2]);
      for (const { base, edited, edits, gate } of await again.ask(questions))
        expect([edited, edits, gate]).toEqual([base, 0, null]);
      expect(await again.add([corvia])).toEqual([3]);
    },
  );

  it("are asked about by the program, whatever keeps them", async () => {
    const run = (args: readonly string[]) => runProgram([...args, "--threads", "1"], { cwd: world.folder });
    const serac = ["--editor", (await editors()).get("serac") ?? "", "--memory", "kept.json"];
    await run(["edit", "add", ...serac, arden.question, arden.answer]);
    expect(await run(["edit", "list", ...serac])).toBe("    1  The capital of Arden is → Berlin\n");
    const said = JSON.parse(await run(["ask", ...serac, "--json", arden.question]));
    expect(said).toMatchObject({ base: "London", edits: 1, edit: { id: 1 } });
    expect(said.gate).toBeGreaterThan(0);
    const tuned = ["--editor", "ft", "--model", "model", "--set", "editLearningRate=3e-3"];
    expect(
      await run(["ask", ...tuned, "--edit", "The capital of Arden is=Berlin", arden.question]),
    ).toContain("edited: Berlin\n  no gate: 1 edit in the weights");
  });

  it("are refused where they are no edits, or options no options", async () => {
    await writeFile(world.path("broken.json"), '{"schemaVersion": 1, "nextId": 1, "edits": [{"id": 1}]}');
    await expect(open("lookup", world.path("broken.json"))).rejects.toMatchObject({
      code: "CHECKPOINT_INVALID",
      message: expect.stringContaining("edits.0.question"),
    });
    const openWith = (options: object) =>
      EditSession.open({ memoryMustExist: false, engine: TINY_ENGINE, ...options });
    await expect(openWith({ editor: "ft" })).rejects.toThrow("`--model`");
    await expect(
      openWith({ editor: "ft", model: world.path("model"), editorOptions: parseOverrides(["rate=1"]) }),
    ).rejects.toThrow("unknown option `rate`");
    const seprog = (await editors()).get("seprog");
    await expect(
      openWith({ editor: seprog, editorOptions: parseOverrides(["lambda=1"]) }),
    ).rejects.toMatchObject({ code: "CONFIG_INVALID" });
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
