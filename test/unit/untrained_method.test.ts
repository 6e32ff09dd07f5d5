// A method that learns nothing before it edits: no editor folder, no training, cells that say so.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { runSuite, type SuiteEvent } from "../../src/bench/suite_runner.js";
import { trainFromSuite } from "../../src/bench/train_run.js";
import type { SuiteConfig } from "../../src/config/suite.js";
import { cellResult, summaryCell } from "../support/run_fixture.js";
import { suiteOf } from "../support/suite_of.js";

// The variant without attention stands in for a method of this kind.
vi.mock("../../src/editors/seprog.js", async (original) => {
  const { seprog } = await original<typeof import("../../src/editors/seprog.js")>();
  return {
    seprog: {
      ...seprog,
      isTrained: ({ variant }: { variant: string }) => variant !== "noatt",
      trainingDefaults: { steps: 77, learningRate: 1e-6 },
    },
  };
});

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "seprog-untrained-"));
  mkdirSync(join(folder, "model"));
  for (const name of ["config.json", "model.safetensors", "tokenizer.json"])
    writeFileSync(join(folder, "model", name), "{}");
  writeFileSync(join(folder, "cell.json"), JSON.stringify(cellResult(summaryCell("counterfact", 1))));
});
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(() => vi.stubEnv("SEPROG_TEST_CELL", join(folder, "cell.json")));
afterEach(() => vi.unstubAllEnvs());

const suite = (change: object = {}): SuiteConfig =>
  suiteOf({
    name: "small",
    model: join(folder, "model"),
    datasets: ["counterfact"],
    k: [1, 4],
    methods: {
      seprog: { editor: { kind: "seprog" } },
      plain: { editor: { kind: "seprog", variant: "noatt" } },
    },
    ...change,
  });

const bench = async (config: SuiteConfig, name: string, budgetMinutes?: number) => {
  const events: SuiteEvent[] = [];
  const outcome = await runSuite(config, {
    folder: join(folder, name),
    engine: { device: "cpu" },
    jobs: 1,
    fresh: false,
    retrain: false,
    worker: fileURLToPath(new URL("../fixtures/jobs/worker.mjs", import.meta.url)),
    onEvent: (event) => events.push(event),
    ...(budgetMinutes !== undefined && { budgetMinutes }),
  });
  expect(outcome.failures).toEqual([]);
  return { ...outcome, events };
};

const run = async (config: SuiteConfig, name: string) => (await bench(config, name)).events;

const resultsOf = (events: readonly SuiteEvent[]) =>
  events.flatMap((event) => (event.type === "cell" ? [event.result] : []));

describe("a method without training", () => {
  it("is measured without an editor's folder, and its cells say so", async () => {
    const events = await run(suite(), "first");
    expect(events[0]).toEqual({
      type: "planned",
      methods: 2,
      datasets: 1,
      Ks: 2,
      seeds: 1,
      cells: 4,
      trainings: 1,
    });
    const editors = events.filter(({ type }) => type === "editor");
    expect(editors).toMatchObject([{ label: "seprog on counterfact, seed 0" }]);
    expect(
      resultsOf(events).map(({ cell, provenance }) => [
        cell.method,
        cell.K,
        provenance.training,
        provenance.editorFingerprint === null,
      ]),
    ).toEqual([
      ["seprog", 1, "trained", false],
      ["seprog", 4, "trained", false],
      ["plain", 1, "untrained", true],
      ["plain", 4, "untrained", true],
    ]);
  });

  it("keeps its finished cells, one by one", async () => {
    await run(suite(), "again");
    rmSync(join(folder, "again", "cells", "plain-counterfact-K4-s0"), { recursive: true });
    const events = await run(suite(), "again");
    expect(resultsOf(events).map(({ cell }) => [cell.method, cell.K])).toEqual([["plain", 4]]);
  });

  it("does not depend on options of training", async () => {
    await run(suite(), "options");
    const changed = suite({ datasets: [{ name: "counterfact", training: { steps: 5 } }] });
    const events = await run(changed, "options");
    expect(new Set(resultsOf(events).map(({ cell }) => cell.method))).toEqual(new Set(["seprog"]));
  });

  it("cannot be trained", async () => {
    const out = join(folder, "out");
    const training = trainFromSuite(suite(), {
      methodName: "plain",
      outDirectory: out,
      engine: { device: "cpu" },
      fresh: false,
    });
    await expect(training).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringMatching(/`--method` but received plain/),
    });
    expect(existsSync(out)).toBe(false);
  });
});

describe("a budget of training time", () => {
  it("leaves out what takes longer, says so everywhere, and is no loss", async () => {
    const { summary, reports, events } = await bench(suite(), "budget", 20);
    const stopped = { method: "seprog", budgetMinutes: 20, step: 7, steps: 90 };
    expect(summary.overBudget).toMatchObject([
      { cell: "seprog-counterfact-K1-s0", K: 1, ...stopped },
      { cell: "seprog-counterfact-K4-s0", K: 4, ...stopped },
    ]);
    expect(summary.missing).toEqual([]);
    expect(summary.cells.map(({ method }) => method)).toEqual(["plain", "plain"]);
    expect(events).toContainEqual(expect.objectContaining({ type: "over-budget" }));
    const record = join(folder, "budget", "cells", "seprog-counterfact-K4-s0", "over_budget.json");
    expect(JSON.parse(readFileSync(record, "utf8"))).toMatchObject(stopped);
    for (const report of [reports.markdown, reports.html])
      expect(readFileSync(report, "utf8")).toContain("over budget (20 min, at step 7 of 90)");

    const more = await bench(suite(), "budget", 40);
    expect(more.summary.overBudget).toEqual([]);
    expect(resultsOf(more.events).map(({ cell }) => [cell.method, cell.K])).toEqual([
      ["seprog", 1],
      ["seprog", 4],
    ]);
  });

  it("may leave nothing to be measured", async () => {
    const { summary, reports } = await bench(
      suite({ methods: { seprog: { editor: { kind: "seprog" } } } }),
      "nothing",
      20,
    );
    expect(summary.cells).toEqual([]);
    expect(readFileSync(reports.markdown, "utf8")).toContain("over budget");
  });
});

describe("options of training that a method's authors set", () => {
  it("are defaults that the suite wins over", () => {
    const of = (method: object) => suite({ methods: { m: method } }).datasets[0]?.methods.m?.config.training;
    expect(of({ editor: { kind: "seprog" } })).toMatchObject({ steps: 77, learningRate: 1e-6 });
    expect(of({ editor: { kind: "seprog" }, training: { steps: 5 } })).toMatchObject({
      steps: 5,
      learningRate: 1e-6,
    });
  });
});
