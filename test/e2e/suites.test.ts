// Suites of many methods on one tiny world: every variant of SEPROG, and a sweep.
import { readdir, readFile, stat } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { requireBuiltPackage } from "../support/built_package.js";
import { runTinySuite, type TinyRun } from "../support/tiny_bench.js";
import { TinyWorld } from "../support/tiny_world.js";

beforeAll(requireBuiltPackage);

let world: TinyWorld;
beforeAll(async () => {
  world = await TinyWorld.create();
  await world.pretrain("model");
});
afterAll(() => world.dispose());

const suite = (methods: object): object => ({
  name: "tiny",
  model: world.path("model"),
  datasets: [{ name: world.dataFile }],
  k: [2],
  methods,
  evaluation: { maxEdits: 6, minEpisodes: 3, timing: { warmUps: 1, repetitions: 2 } },
});

describe("variants of SEPROG", () => {
  const variant = (name: string, more: object = {}) => ({
    like: "seprog",
    editor: { variant: name, ...more },
  });
  const useTrained = ["sp-noselect", "sp-oraclegate", "sp-oracleedit", "sp-softgate", "sp-finetune-edit"];
  const trainedApart = ["sp-noclassifier", "sp-finetune", "sp-noatt"];
  let run: TinyRun;

  beforeAll(async () => {
    run = await runTinySuite(
      world.path("variants"),
      suite({
        seprog: world.method({ steps: 60 }),
        "sp-noclassifier": variant("noclassifier"),
        "sp-noselect": variant("noselect"),
        "sp-finetune": variant("finetune", { finetuneLearningRate: 1e-3 }),
        "sp-finetune-edit": variant("finetune", { finetune: "edit_time", finetuneLearningRate: 1e-3 }),
        "sp-oraclegate": variant("oraclegate"),
        "sp-oracleedit": variant("oracleedit"),
        "sp-softgate": variant("softgate"),
        "sp-noatt": variant("noatt"),
      }),
    );
  });

  const of = (method: string) => {
    const result = run.results.get(method);
    if (result === undefined) throw new Error(`expected a cell of ${method}`);
    return result;
  };
  const printOf = (method: string) => of(method).provenance.editorFingerprint;

  it("are all measured on the same episodes", () => {
    expect(run.failures).toEqual([]);
    expect([...run.results.keys()].sort()).toEqual(["seprog", ...trainedApart, ...useTrained].sort());
    const episodes = [...run.results.values()].map(({ provenance }) => provenance.episodesChecksum);
    expect(new Set(episodes).size).toBe(1);
    for (const { cell } of run.results.values()) expect(cell.base).toEqual(of("seprog").cell.base);
  });

  it("share one trained editor where only its use differs", () => {
    expect(run.editors).toHaveLength(1 + trainedApart.length);
    for (const name of useTrained) expect(printOf(name), name).toBe(printOf("seprog"));
    expect(new Set(["seprog", ...trainedApart].map(printOf)).size).toBe(1 + trainedApart.length);
    const hashes = [...run.results.values()].map(({ cell }) => cell.configHash);
    expect(new Set(hashes).size).toBe(hashes.length);
  });

  it("differ in what they let through", () => {
    expect(of("sp-oraclegate").cell.DD).toMatchObject({ value: 0, low: 0, high: 0 });
    expect(of("sp-oraclegate").detail.klOut?.value).toBe(0);
    // Every question is prompted, with or without a gate that says otherwise.
    for (const name of ["sp-noselect", "sp-noclassifier"])
      expect(of(name).detail.klOut?.value, name).toBeGreaterThan(0);
    // A share of the prompt even where the gate is shut.
    expect(of("sp-softgate").detail.klOut?.value).toBeGreaterThan(0);
    // A base that was tuned answers in other ways, whatever the gate says.
    for (const name of ["sp-finetune", "sp-finetune-edit"])
      expect(of(name).detail.klOut?.value, name).toBeGreaterThan(0);
    for (const name of ["sp-noselect", "sp-softgate"])
      expect(of(name).cell.gate, name).toEqual(of("seprog").cell.gate);
    expect(of("sp-noclassifier").cell.gate).toBeNull();
  });

  it("attend to the right edit, to the likeliest, or to none", () => {
    expect(of("sp-oracleedit").detail.selectionAccuracy?.value).toBe(1);
    expect(of("seprog").detail.selectionAccuracy).not.toBeNull();
    expect(of("sp-noatt").detail.selectionAccuracy).toBeNull();
  });

  it("are compared with SEPROG in the report", async () => {
    const report = await readFile(run.reports.markdown, "utf8");
    expect(report).toContain("method − seprog");
    expect(report).toContain(
      "The paper's order of drawdown (sp-noclassifier worst, sp-noselect second, seprog best)",
    );
  });
});

describe("a sweep", () => {
  const swept = () =>
    suite({ seprog: { ...world.method({ steps: 20 }), sweep: { "editor.promptLength": [2, 4] } } });

  it("trains and measures a method for each value, once", async () => {
    const folder = world.path("sweep");
    const run = await runTinySuite(folder, swept());
    expect(run.failures).toEqual([]);
    expect(run.summary.cells.map(({ method, sweep }) => [method, sweep])).toEqual(
      ["2", "4"].map((value) => [`seprog-p${value}`, { of: "seprog", option: "editor.promptLength", value }]),
    );
    expect(run.editors).toHaveLength(2);
    const prints = [...run.results.values()].map(({ provenance }) => provenance.editorFingerprint);
    expect(new Set(prints).size).toBe(2);
    const files = async () =>
      Promise.all(
        (await readdir(world.path("sweep", "cells"))).map((name) =>
          stat(world.path("sweep", "cells", name, "result.json")),
        ),
      );
    const before = await files();
    const again = await runTinySuite(folder, swept());
    expect(again.events).toContainEqual({ type: "skipped", count: 2, total: 2 });
    expect((await files()).map(({ mtimeMs }) => mtimeMs)).toEqual(before.map(({ mtimeMs }) => mtimeMs));
  });
});
