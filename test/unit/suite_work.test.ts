// What several workers make of one suite: every piece of work once, whoever dies.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { processSpace } from "../../src/bench/process_identity.js";
import { runSuite, type SuiteEvent, type SuiteRunOptions } from "../../src/bench/suite_runner.js";
import { WorkQueue } from "../../src/bench/work_queue.js";
import type { SuiteConfig } from "../../src/config/suite.js";
import { SeprogError } from "../../src/errors.js";
import { cellResult, summaryCell } from "../support/run_fixture.js";
import { suiteOf } from "../support/suite_of.js";

const worker = fileURLToPath(new URL("../fixtures/jobs/logged_worker.mjs", import.meta.url));

let folder = "";
let run = "";
let runs = 0;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "seprog-work-"));
  mkdirSync(join(folder, "model"));
  for (const name of ["config.json", "model.safetensors", "tokenizer.json"])
    writeFileSync(join(folder, "model", name), "{}");
  writeFileSync(join(folder, "cell.json"), JSON.stringify(cellResult(summaryCell("counterfact", 1))));
});
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(() => {
  runs += 1;
  run = join(folder, `run-${runs}`);
  vi.stubEnv("SEPROG_TEST_CELL", join(folder, "cell.json"));
  vi.stubEnv("SEPROG_TEST_LOG", join(folder, `log-${runs}`));
});
afterEach(() => vi.unstubAllEnvs());

interface Started {
  readonly kind: string;
  readonly name: string;
  readonly device: string;
  readonly pid: number;
  readonly matmul?: string;
}

const started = (kind: string): Started[] =>
  readFileSync(join(folder, `log-${runs}`), "utf8")
    .trimEnd()
    .split("\n")
    .map((line): Started => JSON.parse(line))
    .filter((job) => job.kind === kind);
const names = (kind: string): string[] => started(kind).map(({ name }) => name);

const suite = (change: object = {}): SuiteConfig =>
  suiteOf({
    name: "small",
    model: join(folder, "model"),
    datasets: ["counterfact"],
    k: [1, 4],
    methods: { seprog: { editor: { kind: "seprog" } }, lookup: { editor: { kind: "lookup" } } },
    ...change,
  });

const options = (more: Partial<SuiteRunOptions> = {}): SuiteRunOptions => ({
  folder: run,
  engine: { device: "cpu" },
  jobs: 1,
  fresh: false,
  retrain: false,
  worker,
  ...more,
});

const CELL = "seprog-counterfact-K4-s0";
const failureFile = (): string => join(run, "cells", CELL, "failure.json");

/** Kills the process of a cell that hangs, each time; `then` runs before. */
function killer(then: () => void = () => undefined): (event: SuiteEvent) => void {
  return ({ type }) => {
    if (type !== "job") return;
    then();
    const last = started("cell").findLast(({ name }) => name === CELL);
    process.kill(last?.pid ?? 0, "SIGKILL");
  };
}

describe("a queue", () => {
  it("lets a lane wait while work that is being done may leave more", async () => {
    const queue = new WorkQueue(["a"]);
    expect(await queue.take()).toBe("a");
    const waiting = queue.take();
    queue.done({ next: ["b"], last: ["c"] });
    expect(await waiting).toBe("b");
    expect(await queue.take()).toBe("c");
    const end = queue.take();
    queue.done();
    queue.done();
    expect(await end).toBeUndefined();
  });
});

describe("a worker that is killed in the midst of a cell", () => {
  it("costs time alone: the cell is measured behind the others, by another", async () => {
    vi.stubEnv("SEPROG_TEST_HANG", CELL);
    const events: SuiteEvent[] = [];
    const kill = killer(() => vi.stubEnv("SEPROG_TEST_HANG", ""));
    const { summary, failures } = await runSuite(
      suite(),
      options({
        onEvent: (event) => {
          events.push(event);
          kill(event);
        },
      }),
    );
    expect(failures).toEqual([]);
    expect(summary.cells).toHaveLength(4);
    expect(names("train")).toEqual(["seprog"]);
    expect(names("cell")).toEqual([
      "seprog-counterfact-K1-s0",
      CELL,
      "lookup-counterfact-K1-s0",
      "lookup-counterfact-K4-s0",
      CELL,
    ]);
    expect(events.filter(({ type }) => type === "retry")).toHaveLength(1);
    expect(existsSync(failureFile())).toBe(false);
  });

  it("is given up after three, with a file that says what is known; the next run tries again", async () => {
    vi.stubEnv("SEPROG_TEST_HANG", CELL);
    const { summary, failures } = await runSuite(suite(), options({ onEvent: killer() }));
    expect(failures.map(({ label }) => label)).toEqual([CELL]);
    expect(summary.missing).toEqual([CELL]);
    expect(names("cell").filter((name) => name === CELL)).toHaveLength(3);
    const record = JSON.parse(readFileSync(failureFile(), "utf8"));
    expect(record).toMatchObject({ schemaVersion: 1, work: CELL, code: failures[0]?.error.code });
    expect(record.attempts).toHaveLength(3);
    for (const attempt of record.attempts)
      expect(attempt).toMatchObject({
        device: "cpu",
        death: "signal SIGKILL",
        progress: { phase: "evaluate", step: 1, total: 9 },
      });
    vi.stubEnv("SEPROG_TEST_HANG", "");
    expect((await runSuite(suite(), options())).summary.missing).toEqual([]);
    expect(existsSync(failureFile())).toBe(false);
    expect(readdirSync(run)).not.toContain("claims");
  });

  it("is not tried again where the worker said what is wrong", async () => {
    vi.stubEnv("SEPROG_TEST_REFUSE", CELL);
    await runSuite(suite(), options());
    expect(names("cell").filter((name) => name === CELL)).toHaveLength(1);
    const { attempts } = JSON.parse(readFileSync(failureFile(), "utf8"));
    expect(attempts).toMatchObject([{ code: "DATA_INVALID", death: null, message: "expected more records" }]);
  });
});

describe("several workers", () => {
  it("measure an editor's cells while another one is trained", async () => {
    const methods = { seprog: { editor: { kind: "seprog" } }, mend: { editor: { kind: "mend" } } };
    const { summary } = await runSuite(suite({ methods, k: [1, 2, 3, 4] }), options({ jobs: 3 }));
    expect(summary.cells.map(({ method, K }) => `${method} ${K}`)).toEqual(
      ["seprog", "mend"].flatMap((method) => [1, 2, 3, 4].map((K) => `${method} ${K}`)),
    );
    expect(names("train").toSorted()).toEqual(["mend", "seprog"]);
    expect(new Set(names("cell")).size).toBe(8);
    expect(names("cell")).toHaveLength(8);
  });

  it("take the devices in turn, all of which are asked first, and one matrix library", async () => {
    const devices = ["cuda:0", "cuda:1"];
    const engine = { device: "cuda:0" };
    await runSuite(suite({ k: [1, 2, 3, 4, 5, 6] }), options({ jobs: 2, engine, devices }));
    expect(started("probe").map(({ device }) => device)).toEqual(devices);
    expect(new Set(started("cell").map(({ device }) => device))).toEqual(new Set(devices));
    expect(new Set(started("cell").map(({ matmul }) => matmul))).toEqual(new Set(["default"]));
  });
});

describe("two runs in one folder", () => {
  it("share the work: nothing is trained or measured twice, and both know all of it", async () => {
    const wide = suite({ k: [1, 2, 3, 4, 5, 6] });
    const both = await Promise.all([runSuite(wide, options({ jobs: 2 })), runSuite(wide, options())]);
    expect(names("train")).toEqual(["seprog"]);
    expect(names("cell")).toHaveLength(12);
    expect(new Set(names("cell")).size).toBe(12);
    for (const { summary, failures } of both) {
      expect(failures).toEqual([]);
      expect(summary.cells).toHaveLength(12);
      expect(summary.missing).toEqual([]);
    }
    expect(readdirSync(run)).not.toContain("claims");
  });

  it("cannot delete each other's cells", async () => {
    vi.stubEnv("SEPROG_TEST_HANG", CELL);
    const stopping = new AbortController();
    let hangs: () => void = () => undefined;
    const hanging = new Promise<void>((resolve) => {
      hangs = resolve;
    });
    const first = runSuite(
      suite(),
      options({
        signal: stopping.signal,
        onEvent: ({ type }) => {
          if (type === "job") hangs();
        },
      }),
    );
    await hanging;
    for (const more of [{ fresh: true }, { retrain: true }])
      await expect(runSuite(suite(), options(more))).rejects.toMatchObject({
        code: "CONFIG_INVALID",
        message: expect.stringContaining(CELL),
      });
    const reason = new SeprogError("ABORTED", "interrupted");
    stopping.abort(reason);
    await expect(first).rejects.toBe(reason);
    expect(readdirSync(run)).not.toContain("claims");
  });

  it("go on where one was killed with all its processes", async () => {
    mkdirSync(join(run, "claims"), { recursive: true });
    const dead = { space: processSpace(), holders: [{ pid: 2 ** 22 + 1, startTicks: "1" }] };
    writeFileSync(join(run, "claims", `${CELL}.1`), JSON.stringify(dead));
    const { summary } = await runSuite(suite(), options());
    expect(summary.missing).toEqual([]);
    expect(readdirSync(run)).not.toContain("claims");
  });
});
