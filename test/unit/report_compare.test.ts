// Two runs beside each other: what changed beyond noise, what did not, what only one has.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { report } from "../../src/cli/commands/report.js";
import { runProgram } from "../../src/cli/program.js";
import type { CellResult } from "../../src/evaluation/records.js";
import type { ProfileRecord } from "../../src/profile/record.js";
import { compareProfiles } from "../../src/report/comparison/compare_profiles.js";
import { compareRuns } from "../../src/report/comparison/compare_runs.js";
import {
  DOUBT_OF_SHARES,
  DOUBT_OF_TIMES,
  jointly,
  match,
  NO_DOUBT,
  verdictOf,
} from "../../src/report/comparison/compared_figure.js";
import {
  type Comparison,
  changedTable,
  comparisonCsv,
  comparisonDocument,
  inShort,
} from "../../src/report/comparison/comparison.js";
import { documentHtml } from "../../src/report/document_html.js";
import { documentMarkdown } from "../../src/report/document_markdown.js";
import type { ProfileRun } from "../../src/report/profile/profile_run.js";
import type { RunData } from "../../src/report/run_data.js";
import { profileRecord, type Size, untrained, writeProfileRun } from "../support/profile_records.js";
import { cellResult, summaryCell, writeRun } from "../support/run_fixture.js";

const runOf = (name: string, records: readonly ProfileRecord[]): ProfileRun => ({
  folder: `runs/${name}`,
  name,
  records,
  failures: [],
  environment: {},
});

const records = (mend: Partial<Size> = {}): ProfileRecord[] => [
  profileRecord("seprog", 64),
  profileRecord("mend", 64, { trainMs: 300, ...mend }),
  untrained("ft", 64, { inferMs: 9000 }),
];

const changesOf = ({ figures }: Comparison): string[] =>
  figures
    .filter(({ verdict }) => verdict !== "same")
    .map(({ cell, name, verdict }) => `${cell.split(",")[0]} ${name} ${verdict}`);

describe("a change", () => {
  const change = (value: number, low: number, high: number, n = 20) => ({ value, low, high, n });

  it("is beyond noise where its interval leaves out none", () => {
    expect(verdictOf(change(1.2, 1.1, 1.3), "ratio", DOUBT_OF_TIMES)).toBe("up");
    expect(verdictOf(change(0.8, 0.7, 0.9), "ratio", DOUBT_OF_TIMES)).toBe("down");
    expect(verdictOf(change(1.2, 0.9, 1.4), "ratio", DOUBT_OF_TIMES)).toBe("same");
    expect(verdictOf(change(-0.2, -0.3, -0.1), "difference", DOUBT_OF_SHARES)).toBe("down");
  });

  it("is none where two processes differ by as much, or too few units were seen", () => {
    expect(verdictOf(change(1.01, 1.005, 1.015), "ratio", DOUBT_OF_TIMES)).toBe("same");
    expect(verdictOf(change(1.01, 1.01, 1.01), "ratio", NO_DOUBT)).toBe("up");
    expect(verdictOf(change(2, 2, 2, 1), "ratio", DOUBT_OF_TIMES)).toBe("same");
    expect(verdictOf(change(0.5, 0.4, 0.6, 5), "difference", DOUBT_OF_SHARES)).toBe("same");
  });

  it("must be clearer the more figures are compared", () => {
    expect(jointly(1).level).toBeCloseTo(0.95, 9);
    expect(jointly(50).level).toBeCloseTo(0.999, 9);
  });

  it("is told of what both sides have", () => {
    expect(match(["a", "b"], ["b", "c"], (name) => name)).toEqual({
      both: [{ name: "b", before: "b", after: "b" }],
      onlyBefore: ["a"],
      onlyAfter: ["c"],
    });
  });
});

describe("two profiles", () => {
  it("that are the same changed nothing", () => {
    const comparison = compareProfiles(runOf("a", records()), runOf("b", records()));
    expect(changesOf(comparison)).toEqual([]);
    // Training, inference in scope and out of scope: time, peak, FLOPs; FT has no training.
    expect(comparison.figures).toHaveLength(9 + 9 + 6);
    expect(inShort(comparison)).toBe(
      "Of 24 figures that both runs have, 0 went up and 0 went down beyond noise; 24 stayed the same.",
    );
    expect(changedTable(comparison)).toBeNull();
    expect(comparison.remarks).toEqual(["The answers of all 3 cells are the same, token by token."]);
  });

  it("show what changed, by how much, the largest first", () => {
    const after = records({ trainMs: 150, trainBytes: 220 * 2 ** 20 });
    const comparison = compareProfiles(runOf("a", records()), runOf("b", after));
    expect(changesOf(comparison)).toEqual(["mend training step: time down", "mend training step: peak up"]);
    const [time, peak] = changedTable(comparison)?.rows ?? [];
    expect(time?.cells.map(({ value }) => value)).toEqual([
      "training step: time",
      "0.500×",
      "down",
      "300 ms",
      "150 ms",
    ]);
    expect(peak?.cells[1]).toEqual({ value: "1.10×", interval: null, order: 1.1 });
    const table = comparison.moreTables[0];
    expect(table?.title).toContain("Multiples of seprog's costs at K = 64, before and after");
    expect(table?.rows[0]?.cells.slice(0, 3).map(({ value }) => value)).toEqual(["3.00×", "1.50×", "no"]);
    expect(table?.rows[0]?.cells.slice(6, 9).map(({ value }) => value)).toEqual(["1.00×", "1.00×", "yes"]);
  });

  it("say what only one of them has and what they rest on", () => {
    const [seprog, mend, ft] = records();
    if (!seprog || !mend || !ft) throw new Error("no records");
    const receipt = { ...seprog.receipt, libtorch: "2.11.0", outputHash: "other" };
    const comparison = compareProfiles(runOf("a", [seprog, mend]), runOf("b", [{ ...seprog, receipt }, ft]));
    expect(comparison.onlyBefore).toEqual(["mend, K = 64"]);
    expect(comparison.onlyAfter).toEqual(["ft, K = 64"]);
    expect(comparison.remarks).toEqual(["The answers of 1 of 1 cells are not the same."]);
    const markdown = documentMarkdown(comparisonDocument(comparison));
    expect(markdown).toContain("mend, K = 64: only in a");
    expect(markdown).toContain("**libtorch**: 2.10.0 → 2.11.0");
    expect(markdown).not.toContain("outputHash");
  });

  it("of two machines compare by method, model and K", () => {
    const gpu = records().map((record) => ({ ...record, device: "cuda:0" }));
    expect(compareProfiles(runOf("a", records()), runOf("b", gpu)).onlyBefore).toEqual([]);
    const both = [...records(), ...gpu];
    const comparison = compareProfiles(runOf("a", both), runOf("b", records()));
    expect(comparison.onlyBefore).toHaveLength(3);
    expect(comparison.onlyBefore[0]).toBe("seprog, K = 64, cuda:0, fp32, 1 thread");
    const others = records().map((record) => ({ ...record, dataset: "fever" }));
    expect(compareProfiles(runOf("a", records()), runOf("b", others)).onlyAfter[0]).toBe(
      "seprog, K = 64, fever",
    );
  });

  it("can be written in every format", async () => {
    const comparison = compareProfiles(runOf("a", records()), runOf("b", records({ trainMs: 150 })));
    const html = await documentHtml(comparisonDocument(comparison));
    expect(html).toContain("What changed beyond noise");
    expect(html).not.toMatch(/NaN|undefined|Infinity/);
    const [header, first] = comparisonCsv(comparison).split("\r\n");
    expect(header?.split(",")).toHaveLength(9);
    expect(first).toMatch(/^"seprog, K = 64",training step: time,100,100,ratio,1,0\.9\d+,1\.0\d+,same$/);
  });
});

describe("two bench runs", () => {
  const NONE = { notes: [], missing: [], overBudget: [], models: {}, environment: {} };
  const benchRun = (name: string, cells: readonly CellResult[]): RunData => ({
    folder: `runs/${name}`,
    summary: { schemaVersion: 2, suite: "mini", ...NONE, cells: cells.map(({ cell }) => cell) },
    cells: cells.map((result) => ({ folder: "", result })),
  });
  const result = (ES: readonly number[], change: Partial<CellResult> = {}): CellResult => ({
    ...cellResult(summaryCell("zsre", 4)),
    perEpisode: { ES: [...ES], DD: ES.map(() => 0), editing: [] },
    ...change,
  });
  const spread = [0.1, 0.9, 0.2, 0.8, 0.3, 0.7, 0.4, 0.6];
  const better = spread.map((value) => value + 0.05);

  it("are compared episode by episode where they were asked the same", () => {
    const comparison = compareRuns(benchRun("a", [result(spread)]), benchRun("b", [result(better)]));
    const [ES, DD] = comparison.figures;
    expect(ES).toMatchObject({ name: "ES", verdict: "up", kind: "difference" });
    expect(ES?.change.value).toBeCloseTo(0.05, 9);
    expect(ES?.change.high).toBeCloseTo(0.05, 9);
    expect(DD).toMatchObject({ name: "DD", verdict: "same" });
  });

  it("are compared as two means where they were not, and say so", () => {
    const other = result(better);
    const provenance = { ...other.provenance, episodesChecksum: "other" };
    const comparison = compareRuns(
      benchRun("a", [result(spread)]),
      benchRun("b", [{ ...other, provenance }]),
    );
    const [ES] = comparison.figures;
    // The same difference, lost among episodes that differ by ten times as much.
    expect(ES?.change.value).toBeCloseTo(0.05, 9);
    expect(ES).toMatchObject({ verdict: "same" });
    expect(comparison.remarks.join()).toContain("1 of 1 cells were asked about other edits");
  });

  it("leave out episodes that one side could not answer for", () => {
    const half = { ...result(better), perEpisode: { ES: [0.15, null, 0.25], DD: [0, 0, 0], editing: [] } };
    const [ES] = compareRuns(benchRun("a", [result(spread)]), benchRun("b", [half])).figures;
    expect(ES?.change).toMatchObject({ n: 2 });
  });
});

describe("seprog-native report", () => {
  let folder = "";
  let said = "";
  const run = async (...words: string[]): Promise<number> => {
    said = "";
    const stdout = vi.spyOn(process.stdout, "write").mockImplementation((text) => {
      said += String(text);
      return true;
    });
    const stderr = vi.spyOn(process.stderr, "write").mockImplementation((text) => {
      said += String(text);
      return true;
    });
    try {
      return await runProgram(["report", ...words], [report]);
    } finally {
      stdout.mockRestore();
      stderr.mockRestore();
    }
  };
  const at = (...names: string[]): string => join(folder, ...names);

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "seprog-compare-"));
    writeProfileRun(at("profile-a"), records());
    writeProfileRun(at("profile-b"), records({ trainMs: 150 }));
    writeRun(at("bench"), [summaryCell("zsre", 4)]);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it("knows a profile and writes its table, reports and pictures", async () => {
    expect(
      await run(at("profile-a"), "--svg", at("one.svg"), "--figures", at("plots"), "--csv", at("all.csv")),
    ).toBe(0);
    expect(said).toContain("Costs at K = 64 (Table 3)");
    expect(said).toContain(`Wrote ${at("profile-a", "report.md")}`);
    expect(readFileSync(at("one.svg"), "utf8")).toContain("Costs as multiples of seprog&#39;s, K = 64");
    expect(readFileSync(at("plots", "01-costs-as-multiples-of-seprog-s-k-64.svg"), "utf8")).toContain("<svg");
    expect(readFileSync(at("all.csv"), "utf8")).toBe(readFileSync(at("profile-a", "report.csv"), "utf8"));
  });

  it("compares two profiles", async () => {
    expect(await run(at("profile-a"), at("profile-b"), "--md", at("c.md"), "--html", at("c.html"))).toBe(0);
    expect(said).toContain("0 went up and 1 went down beyond noise");
    expect(said).toContain("mend, K = 64");
    for (const name of ["c.md", "c.html"]) expect(readFileSync(at(name), "utf8")).toContain("0.500×");
    expect(await run(at("profile-a"), at("profile-b"), "--svg", at("c.svg"))).toBe(2);
    expect(said).toContain("leave out --svg");
  });

  it("compares two bench runs, and none of two kinds", async () => {
    expect(await run(at("bench"), at("bench"))).toBe(0);
    expect(said).toContain("stayed the same");
    expect(await run(at("bench"), at("profile-a"))).toBe(1);
    expect(said).toContain("expected two runs of one kind");
  });

  it("writes a bench run's cells as CSV", async () => {
    expect(await run(at("bench"), "--csv", at("bench.csv"))).toBe(0);
    const [header, row] = readFileSync(at("bench.csv"), "utf8").split("\r\n");
    const field = (name: string): string | undefined =>
      row?.split(",")[header?.split(",").indexOf(name) ?? -1];
    expect([field("method"), field("K"), field("ES"), field("DD_hard"), field("ES_noisy")]).toEqual([
      "seprog",
      "4",
      "0.55",
      "",
      "",
    ]);
  });
});
