import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { datasetLabel, modelLabel, suiteCells } from "../../src/bench/grid.js";
import { ContentHashes, cellHash, editorOrigin } from "../../src/bench/identity.js";
import { runJob } from "../../src/bench/job_process.js";
import { planCells } from "../../src/bench/plan.js";
import { suiteRequirements } from "../../src/bench/requirements.js";
import { RunPace } from "../../src/bench/run_pace.js";
import { runSuite, type SuiteEvent } from "../../src/bench/suite_runner.js";
import { engineSpec } from "../../src/config/editor_spec.js";
import { loadSuite } from "../../src/config/load.js";
import { assetPath } from "../../src/config/paths.js";
import type { SuiteConfig } from "../../src/config/suite.js";
import { SeprogError } from "../../src/errors.js";
import { summarySchema } from "../../src/evaluation/records.js";
import { bundledEditors, editorHash, readTrained } from "../../src/training/trained_editors.js";
import { cellResult, summaryCell } from "../support/run_fixture.js";
import { suiteOf } from "../support/suite_of.js";

const worker = fileURLToPath(new URL("../fixtures/jobs/worker.mjs", import.meta.url));

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "seprog-bench-"));
  mkdirSync(join(folder, "model"));
  for (const name of ["config.json", "model.safetensors", "tokenizer.json"])
    writeFileSync(join(folder, "model", name), "{}");
  writeFileSync(join(folder, "cell.json"), JSON.stringify(cellResult(summaryCell("counterfact", 1))));
});
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(() => vi.stubEnv("SEPROG_TEST_CELL", join(folder, "cell.json")));
afterEach(() => vi.unstubAllEnvs());

function suite(change: object = {}): SuiteConfig {
  return suiteOf({
    name: "small",
    model: join(folder, "model"),
    datasets: ["counterfact"],
    k: [1, 4],
    methods: { seprog: { editor: { kind: "seprog" } } },
    ...change,
  });
}

let runs = 0;
function runFolder(): string {
  runs += 1;
  return join(folder, `run-${runs}`);
}

const options = (run: string) => ({
  folder: run,
  engine: { device: "cpu" },
  jobs: 1,
  fresh: false,
  retrain: false,
  worker,
});

function eventsOf(): { readonly events: SuiteEvent[]; readonly onEvent: (event: SuiteEvent) => void } {
  const events: SuiteEvent[] = [];
  return { events, onEvent: (event) => events.push(event) };
}

const cellEvents = (events: readonly SuiteEvent[]): number =>
  events.filter(({ type }) => type === "cell").length;

describe("grid", () => {
  it("is every method × data set × seed × K", () => {
    const cells = suiteCells(suite({ datasets: ["counterfact", "zsre"], seeds: [0, 1], k: [1, 4, 64] }));
    expect(cells).toHaveLength(12);
    expect(new Set(cells.map(({ name }) => name)).size).toBe(12);
    expect(cells[0]?.name).toBe("seprog-counterfact-K1-s0");
  });

  it("trains on the evaluated data set unless the method names others", () => {
    const own = suiteCells(suite({ datasets: ["zsre"] }))[0];
    expect(own?.editor.datasets).toEqual(["zsre"]);
    const methods = {
      seprog: { editor: { kind: "seprog" }, training: { datasets: ["counterfact", "zsre"] } },
    };
    expect(suiteCells(suite({ datasets: ["zsre"], methods }))[0]?.editor.datasets).toEqual([
      "counterfact",
      "zsre",
    ]);
  });

  it("names a base model by its folder", () => {
    expect([modelLabel("t5-mini"), modelLabel("./models/mine/"), modelLabel("/x/t5-small")]).toEqual([
      "t5-mini",
      "mine",
      "t5-small",
    ]);
  });

  it("refuses two data sets of one name", () => {
    const twice = suite({ datasets: ["zsre:/a/zsre", "zsre:/b/zsre"] });
    expect(() => suiteCells(twice)).toThrow(/received zsre-full twice/);
  });

  it("names a user's files apart even where their names agree", () => {
    expect(datasetLabel("/a/my edits.jsonl")).toMatch(/^my_edits-[0-9a-f]{6}$/);
    expect(datasetLabel("/a/x.jsonl")).not.toBe(datasetLabel("/b/x.jsonl"));
  });
});

describe("identity", () => {
  const hashes = async (config: SuiteConfig) => {
    const contents = new ContentHashes();
    const [cell] = suiteCells(config);
    if (!cell) throw new Error("no cell");
    const model = { checksum: await contents.model(join(folder, "model")) };
    const editor = editorHash(await editorOrigin(cell.editor, cell.text, model, contents));
    return { editor, cell: await cellHash(cell, editor, contents) };
  };
  const method = (training: object, editor: object = {}) => ({
    methods: { seprog: { editor: { kind: "seprog", ...editor }, training } },
  });

  it("changes with what decides the weights and with nothing else", async () => {
    const base = await hashes(suite());
    expect(await hashes(suite({ name: "other", k: [1, 2, 3] }))).toEqual(base);
    expect((await hashes(suite(method({ checkpointEveryEpochs: 3 })))).editor).toBe(base.editor);
    expect((await hashes(suite(method({ steps: 7 })))).editor).not.toBe(base.editor);
    expect((await hashes(suite(method({}, { lambda: 0.5 })))).editor).not.toBe(base.editor);
    expect((await hashes(suite({ seeds: [1] }))).editor).not.toBe(base.editor);
    expect((await hashes(suite({ text: { maxSourceTokens: 5 } }))).editor).not.toBe(base.editor);
  });

  it("tells cells apart that measure otherwise with the same editor", async () => {
    const base = await hashes(suite());
    const other = await hashes(suite({ evaluation: { maxEdits: 3 } }));
    expect(other.editor).toBe(base.editor);
    expect(other.cell).not.toBe(base.cell);
  });

  it("takes an edit encoder for what it holds, wherever it stands", async () => {
    const encoder = (path: string) => method({}, { editEncoder: { source: "directory", path } });
    const base = await hashes(suite());
    const named = await hashes(suite(encoder("t5-mini")));
    expect(named.editor).not.toBe(base.editor);
    expect(await hashes(suite(encoder(assetPath("models", "t5-mini"))))).toEqual(named);
    expect((await hashes(suite(encoder(join(folder, "model"))))).editor).not.toBe(named.editor);
  });

  it("follows the content of the base model and of a user's file", async () => {
    const before = await new ContentHashes().model(join(folder, "model"));
    writeFileSync(join(folder, "model", "config.json"), '{"a":1}');
    expect(await new ContentHashes().model(join(folder, "model"))).not.toBe(before);
    writeFileSync(join(folder, "model", "config.json"), "{}");
    const file = join(folder, "mine.jsonl");
    writeFileSync(file, "1\n");
    const first = await new ContentHashes().dataset(file);
    writeFileSync(file, "2\n");
    expect(await new ContentHashes().dataset(file)).not.toBe(first);
  });
});

describe("variants", () => {
  const variant = (name: string, more: object = {}) => ({
    editor: { kind: "seprog", variant: name, ...more },
  });
  const methods = (...names: string[]) =>
    Object.fromEntries(["seprog", ...names].map((name) => [`m-${name}`, variant(name)]));

  async function hashOf(spec: object): Promise<string> {
    const [cell] = suiteCells(suite({ methods: { m: spec } }));
    if (!cell) throw new Error("no cell");
    return editorHash(await editorOrigin(cell.editor, cell.text, { checksum: "0" }, new ContentHashes()));
  }

  it.each(["noselect", "oraclegate", "oracleedit", "softgate"])(
    "%s is SEPROG's trained editor, used in another way",
    async (name) => {
      expect(await hashOf(variant(name))).toBe(await hashOf(variant("seprog")));
    },
  );

  it("fine-tuning at edit time starts from SEPROG's trained editor", async () => {
    const edit = variant("finetune", { finetune: "edit_time", finetuneLearningRate: 1e-4 });
    expect(await hashOf(edit)).toBe(await hashOf(variant("seprog")));
  });

  it.each(["finetune", "noclassifier", "noatt"])("%s is trained apart", async (name) => {
    expect(await hashOf(variant(name))).not.toBe(await hashOf(variant("seprog")));
  });

  it("options of fine-tuning count for no other variant", async () => {
    const base = await hashOf(variant("seprog"));
    expect(await hashOf(variant("seprog", { finetuneLearningRate: 0.5 }))).toBe(base);
    expect(await hashOf(variant("finetune", { finetuneLearningRate: 0.5 }))).not.toBe(
      await hashOf(variant("finetune")),
    );
  });

  it("of one trained editor share one training and one fingerprint, and have results of their own", async () => {
    const run = runFolder();
    const { events, onEvent } = eventsOf();
    const config = suite({ methods: methods("noselect", "softgate", "noclassifier") });
    const { summary } = await runSuite(config, { ...options(run), onEvent });
    expect(events.filter(({ type }) => type === "editor")).toHaveLength(2);
    expect(readdirSync(join(run, "editors"))).toHaveLength(2);
    expect(summary.cells.map(({ method, variant: name, K }) => [method, name, K])).toEqual(
      ["seprog", "noselect", "softgate", "noclassifier"].flatMap((name) =>
        [1, 4].map((K) => [`m-${name}`, name, K]),
      ),
    );
    expect(new Set(summary.cells.map(({ configHash }) => configHash)).size).toBe(8);
    const printOf = (method: string): string =>
      JSON.parse(readFileSync(join(run, "cells", `${method}-counterfact-K4-s0`, "result.json"), "utf8"))
        .provenance.editorFingerprint;
    expect(printOf("m-noselect")).toBe(printOf("m-seprog"));
    expect(printOf("m-softgate")).toBe(printOf("m-seprog"));
    expect(printOf("m-noclassifier")).not.toBe(printOf("m-seprog"));
  });

  it("are not taken for measured when the editor they used has been replaced", async () => {
    const run = runFolder();
    await runSuite(suite(), options(run));
    const [hash = ""] = readdirSync(join(run, "editors"));
    const path = join(run, "editors", hash, "trained.json");
    const trained = JSON.parse(readFileSync(path, "utf8"));
    writeFileSync(path, JSON.stringify({ ...trained, fingerprint: "another" }));
    const { events, onEvent } = eventsOf();
    await runSuite(suite({ methods: methods("noselect") }), { ...options(run), onEvent });
    expect(cellEvents(events)).toBe(4);
  });

  it("tell the engine only the options that apply", () => {
    const specOf = (spec: object) => {
      const [cell] = suiteCells(suite({ methods: { m: spec } }));
      if (!cell) throw new Error("no cell");
      return engineSpec(cell.editor.method.editor, 3);
    };
    expect(specOf(variant("seprog"))).not.toHaveProperty("variant");
    expect(specOf(variant("noselect"))).toMatchObject({ variant: "noselect", seed: 3 });
    expect(specOf(variant("noselect"))).not.toHaveProperty("finetune");
    expect(specOf(variant("finetune"))).toMatchObject({ finetune: "joint", finetuneParameters: "last2" });
  });
});

describe("the bundled suite", () => {
  it("finds the bundled editors", async () => {
    const plan = await planCells(loadSuite("mini"), {
      folder: "/nowhere",
      editorsRoot: "/nowhere/editors",
      retrain: false,
    });
    expect(new Set(plan.map(({ editor }) => editor.found?.folder))).toEqual(new Set(bundledEditors()));
  });
});

describe("time left", () => {
  it("is judged by the jobs that are most alike", () => {
    const cell = (dataset: string, K: number) => ({ kind: "cell", dataset, K }) as const;
    const train = { kind: "train", dataset: "a" } as const;
    const pace = new RunPace(
      [train, cell("a", 1), cell("a", 4), cell("b", 4), { kind: "train", dataset: "b" }],
      1,
    );
    pace.done(train, 1000);
    expect(pace.etaMs()).toBeNull();
    pace.done(cell("a", 1), 10);
    expect(pace.etaMs()).toBe(1000 + 10 + 10);
    pace.done(cell("a", 4), 30);
    expect(pace.etaMs()).toBe(1000 + (10 + 30) / 2);
    pace.dropped({ kind: "train", dataset: "b" });
    expect(pace.etaMs()).toBe((10 + 30) / 2);
  });
});

describe("requirements", () => {
  it("are listed together, each with what to do", async () => {
    const config = suite({
      datasets: [
        { name: "zsre:<data>/zsre", model: "<models>/t5" },
        { name: "counterfact", model: join(folder, "empty") },
        { name: "counterfat", model: "t5-mni" },
      ],
      sources: { "<models>/t5": "google/t5 of the hub" },
    });
    mkdirSync(join(folder, "empty"), { recursive: true });
    const needs = await suiteRequirements(config);
    expect(needs.map(({ what, problem }) => [what, problem?.message ?? null])).toEqual([
      [expect.stringContaining("data of zsre"), expect.stringContaining("for `--data`")],
      [expect.stringContaining("base model of zsre"), expect.stringContaining("it is google/t5 of the hub")],
      ["data of counterfact", null],
      ["base model of counterfact", expect.stringMatching(/config\.json and weights .* and a tokenizer/)],
      ["data of counterfat", expect.stringContaining('did you mean "counterfact"?')],
      ["base model of counterfat", expect.stringContaining('did you mean "t5-mini"?')],
    ]);
    const run = runFolder();
    const refused = runSuite(config, options(run));
    await expect(refused).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringContaining("5 things"),
    });
    expect(existsSync(run)).toBe(false);
  });
});

describe("suite", () => {
  it("trains once, measures every cell and writes a summary and reports", async () => {
    const run = runFolder();
    const { events, onEvent } = eventsOf();
    const { summary, reports, failures } = await runSuite(suite(), { ...options(run), onEvent });
    expect(failures).toEqual([]);
    expect(summary.cells.map(({ K }) => K)).toEqual([1, 4]);
    expect(summarySchema.parse(JSON.parse(readFileSync(join(run, "summary.json"), "utf8")))).toEqual(summary);
    expect(existsSync(reports.html) && existsSync(reports.markdown)).toBe(true);
    expect(events.filter(({ type }) => type === "editor")).toHaveLength(1);
    expect(JSON.parse(readFileSync(join(run, "config.json"), "utf8")).config.datasets[0].k).toEqual([1, 4]);
    const environment = readFileSync(join(run, "environment.json"), "utf8");
    expect(JSON.parse(environment)).toMatchObject({ threads: 1, device: { name: "cpu" } });
    expect(environment).not.toContain(folder);
  });

  it("skips finished cells and the trained editor when run again, and measures new K only", async () => {
    const run = runFolder();
    await runSuite(suite(), options(run));
    const result = join(run, "cells", "seprog-counterfact-K1-s0", "result.json");
    const before = statSync(result).mtimeMs;
    const { events, onEvent } = eventsOf();
    await runSuite(suite({ k: [1, 4, 10] }), { ...options(run), onEvent });
    expect(cellEvents(events)).toBe(1);
    expect(events).toContainEqual(expect.objectContaining({ type: "skipped", count: 2, total: 3 }));
    expect(events).toContainEqual(expect.objectContaining({ type: "editor", reused: true }));
    expect(statSync(result).mtimeMs).toBe(before);
  });

  it("finds an editor trained before an option with a default existed", async () => {
    const run = runFolder();
    await runSuite(suite(), options(run));
    const [hash = ""] = readdirSync(join(run, "editors"));
    const path = join(run, "editors", hash, "trained.json");
    const trained = JSON.parse(readFileSync(path, "utf8"));
    delete trained.method.editor.frequentIds;
    delete trained.method.training.noisyShare;
    writeFileSync(path, JSON.stringify(trained));
    const { events, onEvent } = eventsOf();
    await runSuite(suite({ k: [2] }), { ...options(run), onEvent });
    expect(events).toContainEqual(expect.objectContaining({ type: "editor", reused: true }));
  });

  it("trains and measures anew with retrain", async () => {
    const run = runFolder();
    await runSuite(suite(), options(run));
    const { events, onEvent } = eventsOf();
    await runSuite(suite(), { ...options(run), retrain: true, onEvent });
    expect(cellEvents(events)).toBe(2);
    expect(events).toContainEqual(expect.objectContaining({ type: "editor", reused: false }));
  });

  it("measures everything anew with fresh, with the editor that is there", async () => {
    const run = runFolder();
    await runSuite(suite({ k: [1] }), options(run));
    const { events, onEvent } = eventsOf();
    await runSuite(suite({ k: [1] }), { ...options(run), fresh: true, onEvent });
    expect(cellEvents(events)).toBe(1);
    expect(events).toContainEqual(expect.objectContaining({ type: "editor", reused: true }));
  });

  it("does not take a cell of another configuration for finished", async () => {
    const run = runFolder();
    await runSuite(suite(), options(run));
    const { events, onEvent } = eventsOf();
    await runSuite(suite({ evaluation: { maxEdits: 7 } }), { ...options(run), onEvent });
    expect(cellEvents(events)).toBe(2);
  });

  it("loses one cell to a crash and measures it when run again", async () => {
    const run = runFolder();
    vi.stubEnv("SEPROG_TEST_CRASH", "seprog-counterfact-K1-s0");
    const first = await runSuite(suite(), options(run));
    expect(first.summary.cells.map(({ K }) => K)).toEqual([4]);
    expect(first.failures.map(({ label, error }) => [label, error.code])).toEqual([
      ["seprog-counterfact-K1-s0", "INTERNAL"],
    ]);
    expect(first.failures[0]?.error.message).toContain("signal SIGSEGV");
    expect(first.failures[0]?.error.message).toContain("something native went wrong");
    vi.stubEnv("SEPROG_TEST_CRASH", "");
    const second = await runSuite(suite(), options(run));
    expect(second.summary.cells.map(({ K }) => K)).toEqual([1, 4]);
    expect(second.failures).toEqual([]);
  });

  it("does not take a cell that was killed for one that was too large", async () => {
    vi.stubEnv("SEPROG_TEST_KILLED", "seprog-counterfact-K1-s0");
    const { failures } = await runSuite(suite(), options(runFolder()));
    expect(failures.map(({ error }) => error.code)).toEqual(["INTERNAL"]);
    expect(failures[0]?.error.message).toContain("signal SIGKILL: a person or a scheduler killed it");
  });

  it("throws the job's own error when no cell could be measured", async () => {
    vi.stubEnv("SEPROG_TEST_REFUSE", "seprog-counterfact-K1-s0");
    const failing = runSuite(suite({ k: [1] }), options(runFolder()));
    await expect(failing).rejects.toMatchObject({ code: "DATA_INVALID", message: "expected more records" });
  });

  it("stops at once when aborted and keeps the finished cells", async () => {
    const run = runFolder();
    vi.stubEnv("SEPROG_TEST_HANG", "seprog-counterfact-K4-s0");
    const controller = new AbortController();
    const reason = new SeprogError("ABORTED", "interrupted");
    const running = runSuite(suite(), {
      ...options(run),
      signal: controller.signal,
      onEvent: (event) => {
        if (event.type === "job") controller.abort(reason);
      },
    });
    await expect(running).rejects.toBe(reason);
    expect(readdirSync(join(run, "cells"))).toEqual(["seprog-counterfact-K1-s0"]);
    expect(existsSync(join(run, "summary.json"))).toBe(false);
  });

  it("runs several cells at once", async () => {
    const { summary } = await runSuite(suite({ k: [1, 2, 3, 4, 5] }), { ...options(runFolder()), jobs: 3 });
    expect(summary.cells.map(({ K }) => K)).toEqual([1, 2, 3, 4, 5]);
  });

  it("leaves nothing behind when there is no engine", async () => {
    const run = runFolder();
    await expect(runSuite(suite(), { ...options(run), worker: "/nowhere/worker.js" })).rejects.toMatchObject({
      code: "INTERNAL",
    });
    expect(existsSync(run)).toBe(false);
  });
});

describe("data sets", () => {
  it("are checked before anything runs", async () => {
    const run = runFolder();
    await expect(runSuite(suite({ datasets: ["counterfat"] }), options(run))).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringContaining('did you mean "counterfact"?'),
    });
    await expect(runSuite(suite({ datasets: ["/nowhere/x.jsonl"] }), options(run))).rejects.toMatchObject({
      code: "DATA_INVALID",
      message: expect.stringContaining("/nowhere/x.jsonl"),
    });
    expect(existsSync(run)).toBe(false);
  });
});

describe("jobs", () => {
  it("are not started once aborted", async () => {
    const reason = new SeprogError("ABORTED", "interrupted");
    const job = { kind: "probe", engine: { device: "cpu" } } as const;
    await expect(runJob(job, { worker, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});

describe("trained editors", () => {
  it("are refused with the file's name when they cannot be read", async () => {
    await expect(readTrained(folder)).rejects.toMatchObject({
      code: "CHECKPOINT_INVALID",
      message: expect.stringContaining("trained.json"),
    });
  });
});
