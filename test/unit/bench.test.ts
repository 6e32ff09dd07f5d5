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
import { runSuite, type SuiteEvent } from "../../src/bench/suite_runner.js";
import type { SuiteConfig } from "../../src/config/suite.js";
import { suiteSchema } from "../../src/config/suite.js";
import { SeprogError } from "../../src/errors.js";
import { summarySchema } from "../../src/evaluation/records.js";
import { editorHash, readTrained } from "../../src/training/trained_editors.js";
import { cellResult, summaryCell } from "../support/run_fixture.js";

const worker = fileURLToPath(new URL("../fixtures/jobs/worker.mjs", import.meta.url));

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "seprog-bench-"));
  mkdirSync(join(folder, "model"));
  writeFileSync(join(folder, "model", "config.json"), "{}");
  writeFileSync(join(folder, "cell.json"), JSON.stringify(cellResult(summaryCell("counterfact", 1))));
});
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(() => vi.stubEnv("SEPROG_TEST_CELL", join(folder, "cell.json")));
afterEach(() => vi.unstubAllEnvs());

function suite(change: object = {}): SuiteConfig {
  return suiteSchema.parse({
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
    const editor = editorHash(await editorOrigin(cell.editor, config.text, model, contents));
    return { editor, cell: await cellHash(cell, editor, config.evaluation, contents) };
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
    expect(JSON.parse(readFileSync(join(run, "config.json"), "utf8")).config.k).toEqual([1, 4]);
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
