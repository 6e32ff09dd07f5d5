// Replays with a stand-in for the worker: what is read, what is refused, what is said. Real replays: test/e2e.
import { existsSync } from "node:fs";
import { appendFile, cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { ContentHashes } from "../../src/bench/identity.js";
import { runSuite } from "../../src/bench/suite_runner.js";
import {
  answerDifference,
  judge,
  type ReplayedCell,
  receiptDifferences,
} from "../../src/bench/verify_compare.js";
import { type VerifyOptions, verifyRecords } from "../../src/bench/verify_run.js";
import { verdictText } from "../../src/cli/verdict_text.js";
import { RECEIPT_BASIS } from "../support/receipts.js";
import { cellResult, editRecord, summaryCell } from "../support/run_fixture.js";
import { suiteOf } from "../support/suite_of.js";

const worker = fileURLToPath(new URL("../fixtures/jobs/worker.mjs", import.meta.url));
const receipt = { ...RECEIPT_BASIS, outputHash: "b".repeat(64) };

describe("receipts", () => {
  it("that are equal differ in nothing, whatever was answered", () => {
    expect(receiptDifferences(receipt, { ...receipt, outputHash: "c".repeat(64) })).toEqual([]);
  });

  it("are told apart field by field", () => {
    const now = {
      ...receipt,
      code: { version: "0.2.0", commit: "1234" },
      dataHash: null,
      machine: { cpu: "Other CPU", device: "cuda:0", threads: 2 },
      libtorch: "2.11.0",
      matmul: "onednn",
      kernels: "reference",
      deterministic: true,
    };
    const named = receiptDifferences(receipt, now).map(({ what }) => what);
    expect(named).toEqual([
      "package version",
      "code commit",
      "data",
      "processor",
      "device",
      "threads",
      "libtorch",
      "matrix library",
      "kernels",
      "deterministic",
    ]);
  });
});

const edits = [0, 1, 2].map((index) => editRecord(index));

describe("answers", () => {
  const changed = structuredClone(edits);
  const line = changed[1];
  if (line === undefined) throw new Error("expected three lines");
  line.self.edited = "Welsh";
  line.self.negLogLik = (line.self.negLogLik ?? 0) + 0.25;

  it("that are equal do not differ", () => {
    expect(answerDifference(edits, structuredClone(edits))).toEqual({
      total: 12,
      different: 0,
      largestLossDifference: 0,
    });
  });

  it("are counted where they differ, also where questions are missing", () => {
    expect(answerDifference(edits, changed)).toEqual({
      total: 12,
      different: 1,
      largestLossDifference: 0.25,
    });
    expect(answerDifference(edits, edits.slice(0, 2)).different).toBe(4);
  });
});

describe("a verdict", () => {
  const then: ReplayedCell = { result: cellResult(summaryCell("zsre", 4)), receipt, edits };
  const of = (change: Partial<ReplayedCell>): string =>
    verdictText(judge("cell", then, { ...then, ...change }));

  it("is «same» where ids, words and figures are", () => {
    expect(of({})).toBe("cell: same outputs (12 answers, losses equal to the last bit)\n");
  });

  it("names other conditions also where outputs are the same", () => {
    const said = of({ receipt: { ...receipt, libtorch: "2.11.0" } });
    expect(said).toContain("same outputs");
    expect(said).toContain("libtorch: 2.10.0 → 2.11.0");
  });

  it("says how far outputs are apart, and what else is", () => {
    const now = structuredClone(then.result);
    now.cell.ES.value = 0.5;
    const other = structuredClone(edits);
    for (const { self } of other) self.edited = "Welsh";
    const said = of({
      result: now,
      edits: other,
      receipt: { ...receipt, outputHash: "c".repeat(64), machine: { ...receipt.machine, threads: 2 } },
    });
    expect(said).toContain("OTHER OUTPUTS\n  3 of 12 answers differ\n");
    expect(said).toMatch(/ES: 0\.\d+ → 0\.5\n/);
    expect(said).toContain("threads: 1 → 2");
  });

  it("tells a changed hash from changed answers", () => {
    expect(of({ receipt: { ...receipt, outputHash: "c".repeat(64) } })).toMatch(
      /0 of 12 answers differ\n {2}the answers read the same but are other token ids(?:.|\n)*nothing in the receipt differs/,
    );
    expect(of({ edits: [...edits].reverse() })).toContain("not those it was made of");
  });
});

describe("a replay", () => {
  let folder = "";
  let run = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "seprog-verify-test-"));
    run = join(folder, "run");
    const data = join(folder, "edits.jsonl");
    await writeFile(data, `${JSON.stringify({ x_e: "The capital of Peru is", y_e_options: ["Quito"] })}\n`);
    const result = cellResult(summaryCell("zsre", 1));
    result.receipt = { ...receipt, dataHash: await new ContentHashes().dataset(data) };
    await writeFile(join(folder, "cell.json"), JSON.stringify(result));
    vi.stubEnv("SEPROG_TEST_CELL", join(folder, "cell.json"));
    const methods = { lookup: { editor: { kind: "lookup" } } };
    await runSuite(suiteOf({ name: "small", model: "t5-mini", datasets: [data], k: [1, 2], methods }), {
      folder: run,
      engine: { device: "cpu" },
      jobs: 1,
      fresh: false,
      retrain: false,
      worker,
    });
  });
  afterAll(() => rm(folder, { recursive: true }));
  beforeEach(() => vi.stubEnv("SEPROG_TEST_CELL", join(folder, "cell.json")));
  afterEach(() => vi.unstubAllEnvs());

  /** A copy of the run to be spoilt. */
  async function copyOfRun(): Promise<string> {
    const copy = await mkdtemp(join(folder, "copy-"));
    await cp(run, copy, { recursive: true });
    return copy;
  }
  const verify = (record: string, more: Partial<VerifyOptions> = {}) =>
    verifyRecords({ record, worker, ...more });
  const cellsOf = async (at: string): Promise<string[]> => (await readdir(join(at, "cells"))).sort();

  it("of a run is one of each of its cells, and leaves the run as it was", async () => {
    const names = await cellsOf(run);
    const before = await readdir(run, { recursive: true });
    const verdicts = await verify(run);
    expect(verdicts.map(({ cell, same }) => [cell, same])).toEqual(names.map((name) => [name, true]));
    expect(await readdir(run, { recursive: true })).toEqual(before);
  });

  it("may be of one cell, of its result, of those that are named or of a sample", async () => {
    const [first = "", second = ""] = await cellsOf(run);
    const cell = join(run, "cells", first);
    const cellNames = async (record: string, more?: Partial<VerifyOptions>) =>
      (await verify(record, more)).map((verdict) => verdict.cell);
    expect(await cellNames(cell)).toEqual([first]);
    expect(await cellNames(join(cell, "result.json"))).toEqual([first]);
    expect(await cellNames(run, { cells: [second] })).toEqual([second]);
    const drawn = await cellNames(run, { sample: 1, seed: 3 });
    expect(drawn).toHaveLength(1);
    expect(await cellNames(run, { sample: 1, seed: 3 })).toEqual(drawn);
  });

  it("computes with the kernels that the record names", async () => {
    const copy = await copyOfRun();
    const [name = ""] = await cellsOf(copy);
    const path = join(copy, "cells", name, "result.json");
    const text = await readFile(path, "utf8");
    await writeFile(path, text.replace('"kernels":"fused"', '"kernels":"reference"'));
    const [verdict] = await verify(copy, { cells: [name] });
    expect(verdict?.receipt.map(({ what }) => what)).not.toContain("kernels");
    expect((await readFile(path, "utf8")).match(/"kernels":"\w+"/g)).toEqual(['"kernels":"reference"']);
  });

  it("finds a record whose hash was changed", async () => {
    const copy = await copyOfRun();
    const [name = ""] = await cellsOf(copy);
    const path = join(copy, "cells", name, "result.json");
    const text = await readFile(path, "utf8");
    await writeFile(path, text.replace("b".repeat(64), "a".repeat(64)));
    expect(await verify(copy, { cells: [name] })).toMatchObject([{ same: false, sameTokens: false }]);
  });

  it.each([
    ["a folder without records", () => folder, {}, "DATA_INVALID", /a run with measured cells/],
    [
      "a cell that the run does not have",
      () => run,
      { cells: ["mend"] },
      "CONFIG_INVALID",
      /received mend; it has/,
    ],
  ] as const)("refuses %s", async (_, record, more, code, message) => {
    await expect(verify(record(), more)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
  });

  it.each([
    [
      "a record without a receipt",
      "result.json",
      (text: string) => text.replace(/"receipt":\{.*\}\}/, '"receipt":null}'),
    ],
    ["a damaged record", "result.json", (text: string) => text.slice(0, 100)],
  ])("refuses %s", async (_, file, spoil) => {
    const copy = await copyOfRun();
    const [name = ""] = await cellsOf(copy);
    const path = join(copy, "cells", name, file);
    await writeFile(path, spoil(await readFile(path, "utf8")));
    await expect(verify(copy, { cells: [name] })).rejects.toMatchObject({ code: "DATA_INVALID" });
  });

  it("refuses a configuration that was changed, or is of another suite", async () => {
    const copy = await copyOfRun();
    const path = join(copy, "config.json");
    const text = await readFile(path, "utf8");
    await writeFile(path, text.replace('"maxEdits": 2000', '"maxEdits": 10'));
    await expect(verify(copy)).rejects.toThrow(/config\.json but received one that was changed/);
    await rm(path);
    await expect(verify(copy)).rejects.toThrow(/no such file/);
  });

  it("refuses other data, and draws no new episodes into the run", async () => {
    const data = join(folder, "edits.jsonl");
    const text = await readFile(data, "utf8");
    await appendFile(data, `${JSON.stringify({ x_e: "The capital of Chile is", y_e_options: ["Lima"] })}\n`);
    try {
      await expect(verify(run)).rejects.toThrow(/expected the data that .* was measured on/);
      expect(existsSync(join(run, "episodes"))).toBe(false);
    } finally {
      await writeFile(data, text);
    }
  });
});
