// Many methods side by side: the table of the literature, paired tests, why edits fail, how they hold.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CellResult, OverBudget } from "../../src/evaluation/records.js";
import { holm, signFlipTest } from "../../src/metrics/paired_test.js";
import { reportContent } from "../../src/report/content.js";
import { editingTables, tuningTable } from "../../src/report/editing_tables.js";
import { Grid } from "../../src/report/grid.js";
import { comparisonTables, methodTable } from "../../src/report/grid_tables.js";
import { htmlReport } from "../../src/report/html.js";
import { markdownReport } from "../../src/report/markdown.js";
import { compactNumber } from "../../src/report/number_format.js";
import { allPairTests, referenceTests } from "../../src/report/paired_tables.js";
import { retentionCharts } from "../../src/report/retention_charts.js";
import { readRun } from "../../src/report/run_data.js";
import { cellResult, figure, summaryCell, writeRun } from "../support/run_fixture.js";

const METHODS = ["seprog", "ft", "enn", "slag", "mend", "serac"];

/** Episodes whose success is `mean` and more for every second. */
const episodes = (mean: number): number[] =>
  Array.from({ length: 20 }, (_, i) => mean + (i % 2 === 0 ? 0.1 : -0.1));

function result(method: string, ES: number[], change: Partial<CellResult> = {}, K = 4): CellResult {
  const cell = summaryCell("counterfact", K, { method, variant: method });
  return { ...cellResult(cell), perEpisode: { ES, DD: ES.map(() => 0), editing: [] }, ...change };
}

describe("paired tests", () => {
  const stratum = (values: readonly number[]) => [{ values, weight: 1 }];

  it("count the signs that give so large a mean", () => {
    // Of 2 ** 3 signs of three equal differences two give as much.
    expect(signFlipTest(stratum([1, 1, 1]), { draws: 20_000 })).toBeCloseTo(0.25, 1);
    expect(signFlipTest(stratum([0, 0, 0]))).toBe(1);
    expect(signFlipTest(stratum([1, -1, 1, -1]))).toBe(1);
    expect(signFlipTest(stratum(Array.from({ length: 40 }, () => 0.5)), { draws: 999 })).toBe(0.001);
    expect(signFlipTest([])).toBeNull();
    expect(signFlipTest([...stratum([1]), { values: [], weight: 1 }])).toBeNull();
  });

  it("do not depend on which method comes first", () => {
    const values = [0.3, -0.1, 0.2, 0.05, 0.4, -0.2];
    expect(signFlipTest(stratum(values))).toBeCloseTo(
      signFlipTest(stratum(values.map((value) => -value))) ?? 0,
      1,
    );
  });

  it("are corrected for their number", () => {
    expect(holm([0.01, 0.04, 0.03])).toEqual([0.03, 0.06, 0.06]);
    expect(holm([0.5, 0.9])).toEqual([1, 1]);
    expect(holm([])).toEqual([]);
  });
});

describe("a grid of many methods", () => {
  const grid = new Grid([
    result("seprog", episodes(0.8)),
    result("ft", episodes(0.3)),
    result("enn", episodes(0.8)),
  ]);

  it("tells differences that are there from those that are not", () => {
    const table = referenceTests(grid);
    expect(table?.title).toContain("Holm over 2");
    const [ft, enn] = table?.rows ?? [];
    expect(ft).toMatchObject({
      label: "ft",
      cells: [{ value: "−0.500" }, { value: "< 0.001" }, { value: "+0.000" }, { value: "1.000" }],
    });
    expect(enn?.cells[1]).toEqual({ value: "1.000", interval: null });
    expect(allPairTests(grid)?.rows.map(({ label }) => label)).toEqual([
      "seprog − ft",
      "seprog − enn",
      "ft − enn",
    ]);
  });

  it("has a row a method where columns would be too many", () => {
    const large = new Grid(METHODS.map((method, i) => result(method, episodes(0.2 + 0.1 * i))));
    const [table] = comparisonTables(large);
    expect(table).toEqual(methodTable(large));
    expect(table?.columns.map(({ title }) => title)).toEqual(["counterfact ES", "counterfact DD"]);
    expect(table?.rows.map(({ label, cells }) => [label, cells[0]?.value])).toEqual(
      METHODS.map((method, i) => [method, (0.2 + 0.1 * i).toFixed(3)]),
    );
    expect(comparisonTables(grid)[0]?.corner).toBe("data set");
  });

  it("says where training took too long", () => {
    const stopped: OverBudget = {
      cell: "mend-counterfact-K4-s0",
      method: "mend",
      variant: "mend",
      sweep: null,
      dataset: "counterfact",
      K: 4,
      seed: 0,
      budgetMinutes: 20,
      step: 310,
      steps: 4000,
    };
    const table = methodTable(new Grid([result("seprog", episodes(0.8))], [stopped]));
    expect(table.rows.at(-1)).toMatchObject({
      label: "mend",
      cells: [
        { value: "over budget (20 min, at step 310 of 4000)" },
        { value: "over budget (20 min, at step 310 of 4000)" },
      ],
    });
  });
});

describe("why edits fail", () => {
  const editing = { steps: 87.25, stoppedByLimit: 0.75, editLoss: 0.00042, "residualNorm.block.0": 1 };
  const tuning = {
    option: "editor.editLearningRate",
    value: 1e-4,
    edits: 50,
    K: 4,
    tried: [
      { value: 1e-4, ES: 0.5, DD: 0.125 },
      { value: 1, ES: null, DD: null },
    ],
  };
  const results = [result("ft", episodes(0.3), { editing, tuning }), result("seprog", episodes(0.9))];

  it("stands in a table of what fitting took", () => {
    const [table, ...others] = editingTables(results);
    expect(others).toEqual([]);
    expect(table?.columns.map(({ title }) => title)).toEqual(["steps", "stoppedByLimit", "editLoss"]);
    expect(table?.rows).toMatchObject([
      { label: "counterfact K=4", cells: [{ value: "87.3" }, { value: "0.75" }, { value: "4.2e-4" }] },
    ]);
    expect(editingTables([result("seprog", episodes(0.9))])).toEqual([]);
  });

  it("is told with the values that were tried", () => {
    expect(tuningTable(results)?.rows).toMatchObject([
      {
        label: "ft counterfact K=4",
        cells: [
          { value: "editor.editLearningRate" },
          { value: "1e-4" },
          { value: "50" },
          { value: "1e-4: 0.375; 1: –" },
        ],
      },
    ]);
    expect(tuningTable([result("seprog", episodes(0.9))])).toBeNull();
  });

  it("is written in numbers of three digits", () => {
    expect([0, 1, 12.345, 1e-5, 2.5e-7, 1234567, -0.0321].map(compactNumber)).toEqual([
      "0",
      "1",
      "12.3",
      "1e-5",
      "2.5e-7",
      "1.23e+6",
      "-0.0321",
    ]);
  });
});

describe("the report of sequential edits", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "seprog-methods-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const retention = [0, 1, 2, 4].map((age) => ({ age, ES: figure(1 - 0.2 * age) }));

  it("draws how an edit holds, of each method at its largest K", () => {
    const charts = retentionCharts([
      result("ft", episodes(0.3), { retention }),
      result("ft", episodes(0.3), { retention: retention.slice(0, 2) }, 2),
      result("slag", episodes(0.5), { retention }),
      result("seprog", episodes(0.9)),
    ]);
    expect(charts).toHaveLength(1);
    expect(charts[0]?.legend.map((entry) => entry.label)).toEqual(["ft", "slag"]);
    expect(JSON.stringify(charts[0]?.spec)).toContain('"at":"4"');
  });

  it("says how edits were made", async () => {
    const cells = METHODS.map((method) =>
      summaryCell("counterfact", 4, { method, variant: method, schedule: "gap=2" }),
    );
    writeRun(folder, cells);
    for (const cell of cells) {
      const own = join(folder, "cells", `${cell.method}-counterfact-K4-s0`);
      mkdirSync(own, { recursive: true });
      writeFileSync(join(own, "result.json"), JSON.stringify({ ...cellResult(cell), retention }));
    }
    const content = await reportContent(await readRun(folder));
    expect(content.subtitle).toContain("edits made one after the other and asked about 2 edits later");
    for (const text of [await htmlReport(content), markdownReport(content)]) {
      expect(text).toContain("ES and DD of every method");
      expect(text).toContain("Paired tests: method − seprog");
      expect(text).not.toContain("NaN");
    }
    expect(await htmlReport(content)).toContain("How an edit holds");
  });
});
