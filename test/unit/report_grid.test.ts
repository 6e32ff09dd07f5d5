import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CellResult, SummaryCell } from "../../src/evaluation/records.js";
import {
  DIFFERENCE_OF_SHARES,
  meanOfStrata,
  meanOverSeeds,
  SHARE,
  stratifiedMean,
} from "../../src/metrics/stratified.js";
import { drawdownOrder } from "../../src/report/ablation_order.js";
import { reportContent } from "../../src/report/content.js";
import { Grid } from "../../src/report/grid.js";
import { differenceTables, meanTables } from "../../src/report/grid_tables.js";
import { htmlReport } from "../../src/report/html.js";
import { markdownReport } from "../../src/report/markdown.js";
import { readRun } from "../../src/report/run_data.js";
import { headlineSvg } from "../../src/report/write.js";
import { cellResult, figure, summaryCell, writeRun } from "../support/run_fixture.js";

const VARIANTS = ["seprog", "finetune", "noclassifier", "noselect"];
const KS = [1, 4, 64];

/** One cell whose episodes say `ES` and `DD`. */
function result(
  dataset: string,
  K: number,
  variant: string,
  episodes: { ES?: (number | null)[]; DD?: (number | null)[] },
  change: Partial<SummaryCell> = {},
): CellResult {
  const cell = summaryCell(dataset, K, { method: `sp-${variant}`, variant, ...change });
  return { ...cellResult(cell), perEpisode: { ES: episodes.ES ?? [1], DD: episodes.DD ?? [0], editing: [] } };
}

/** Shares that differ from episode to episode, with mean `mean`. */
const spread = (mean: number): number[] =>
  Array.from({ length: 40 }, (_, i) => mean + (i % 2 === 0 ? 0.1 : -0.1));

/** Two data sets on which `drawdowns` are the means of the variants. */
function gridOf(drawdowns: { readonly [variant: string]: number }): Grid {
  return new Grid(
    ["a", "b"].flatMap((dataset) =>
      Object.entries(drawdowns).flatMap(([variant, mean]) =>
        KS.map((K) => result(dataset, K, variant, { DD: spread(mean) })),
      ),
    ),
  );
}

describe("strata", () => {
  it("weigh as told, whatever their size", () => {
    const strata = [
      { values: [1, 1, 1, 1], weight: 0.5 },
      { values: [0], weight: 0.5 },
    ];
    expect(meanOfStrata(strata)).toBe(0.5);
    expect(stratifiedMean(strata)).toEqual({ value: 0.5, low: 0.5, high: 0.5, n: 5 });
    expect(stratifiedMean([...strata, { values: [], weight: 1 }])).toBeNull();
  });

  it("are resampled within themselves", () => {
    const estimate = stratifiedMean([
      { values: [0, 1], weight: 0.5 },
      { values: [10, 10], weight: 0.5 },
    ]);
    expect(estimate).toMatchObject({ value: 5.25, low: 5, high: 5.5 });
  });

  it("of seeds have Student's interval", () => {
    const estimate = meanOverSeeds([0.4, 0.5, 0.6], SHARE);
    expect(estimate?.value).toBeCloseTo(0.5, 12);
    expect((estimate?.high ?? 0) - 0.5).toBeCloseTo((0.1 * 4.302653) / Math.sqrt(3), 6);
    expect(meanOverSeeds([1], SHARE)).toBeNull();
  });

  it("end where a share does", () => {
    expect(meanOverSeeds([0.9, 0.99], SHARE)).toMatchObject({ high: 1 });
    expect(meanOverSeeds([-0.1, 0.1], DIFFERENCE_OF_SHARES)).toMatchObject({ low: -1, high: 1 });
  });
});

describe("grid", () => {
  it("averages over K and data sets alike, whatever the number of episodes", () => {
    const grid = new Grid([
      result("a", 1, "seprog", { DD: [0, 0, 0, 0] }),
      result("a", 4, "seprog", { DD: [1, null] }),
      result("b", 1, "seprog", { DD: [0.5] }),
      result("b", 4, "seprog", { DD: [0.5] }),
    ]);
    expect(grid.mean("DD", "sp-seprog", ["a"])).toMatchObject({ value: 0.5, over: "episodes", n: 5 });
    expect(grid.mean("DD", "sp-seprog", ["a", "b"])?.value).toBe(0.5);
  });

  it("says nothing where a cell is missing", () => {
    const grid = new Grid([
      result("a", 1, "seprog", {}),
      result("a", 4, "seprog", {}),
      result("a", 1, "noselect", {}),
    ]);
    expect(grid.mean("ES", "sp-seprog", ["a"])).not.toBeNull();
    expect(grid.mean("ES", "sp-noselect", ["a"])).toBeNull();
    expect(grid.difference("ES", "sp-noselect", "sp-seprog", ["a"])).toBeNull();
  });

  it("compares episode by episode: what both share is no part of the interval", () => {
    const grid = new Grid(
      KS.flatMap((K) => [
        result("a", K, "seprog", { DD: spread(0.2) }),
        result("a", K, "noselect", { DD: spread(0.25) }),
      ]),
    );
    const mean = grid.mean("DD", "sp-noselect", ["a"]);
    expect((mean?.high ?? 0) - (mean?.low ?? 0)).toBeGreaterThan(0.01);
    const difference = grid.difference("DD", "sp-noselect", "sp-seprog", ["a"]);
    expect(difference?.value).toBeCloseTo(0.05, 10);
    expect((difference?.high ?? 0) - (difference?.low ?? 0)).toBeLessThan(1e-9);
  });

  it("compares nothing that was asked other episodes", () => {
    const other = result("a", 1, "noselect", {});
    const provenance = { ...other.provenance, episodesChecksum: "other" };
    const grid = new Grid([result("a", 1, "seprog", {}), { ...other, provenance }]);
    expect(grid.difference("DD", "sp-noselect", "sp-seprog", ["a"])).toBeNull();
  });

  it("takes the interval over seeds where there are several", () => {
    const grid = new Grid(
      [0.1, 0.2, 0.3].map((mean, seed) => result("a", 1, "seprog", { DD: spread(mean) }, { seed })),
    );
    const estimate = grid.mean("DD", "sp-seprog", ["a"]);
    expect(estimate).toMatchObject({ over: "seeds", n: 3 });
    expect((estimate?.high ?? 0) - 0.2).toBeCloseTo((4.302653 * 0.1) / Math.sqrt(3), 6);
  });

  it("is told in tables with a row a data set and the mean of all", () => {
    const grid = gridOf({ seprog: 0.1, noselect: 0.3 });
    const [, drawdown] = meanTables(grid);
    expect(drawdown?.title).toBe("Drawdown DD, mean over K; 95 % intervals over episodes");
    expect(drawdown?.rows.map(({ label, cells }) => [label, ...cells.map(({ value }) => value)])).toEqual([
      ["a", "0.100", "0.300"],
      ["b", "0.100", "0.300"],
      ["mean", "0.100", "0.300"],
    ]);
    const [, difference] = differenceTables(grid);
    expect(difference?.columns.map(({ title }) => title)).toEqual(["sp-noselect"]);
    expect(difference?.rows.at(-1)?.cells).toEqual([{ value: "+0.200", interval: "+0.200 – +0.200" }]);
    expect(differenceTables(gridOf({ noselect: 0.3, noclassifier: 0.2 }))).toEqual([]);
  });
});

describe("the paper's order of drawdown", () => {
  it("is said to hold with its differences", () => {
    const text = drawdownOrder(gridOf({ noclassifier: 0.5, noselect: 0.3, seprog: 0.1 }));
    expect(text).toContain("holds on the mean of 2 data sets: DD 0.500, 0.300, 0.100;");
    expect(text).toContain("+0.200 (+0.200 – +0.200) and +0.200");
    expect(text).toContain("holds on a (0.500, 0.300, 0.100), holds on b");
  });

  it("is said not to hold where two are clearly the other way round", () => {
    const text = drawdownOrder(gridOf({ noclassifier: 0.3, noselect: 0.5, seprog: 0.1 }));
    expect(text).toContain("does not hold on the mean of 2 data sets");
  });

  it("is not said to hold within the intervals", () => {
    const noisy = (mean: number, phase: number) =>
      Array.from({ length: 40 }, (_, i) => mean + ((i + phase) % 2 === 0 ? 0.3 : -0.3));
    const cells = (high: number) =>
      new Grid([
        result("a", 1, "noclassifier", { DD: spread(0.9) }),
        result("a", 1, "noselect", { DD: noisy(high, 0) }),
        result("a", 1, "seprog", { DD: noisy(0.5, 1) }),
      ]);
    expect(drawdownOrder(cells(0.51))).toContain("holds in the means but not beyond their intervals on a");
    expect(drawdownOrder(cells(0.5))).toContain("is undecided on a");
  });

  it("is not spoken of where a variant is missing", () => {
    expect(drawdownOrder(gridOf({ noselect: 0.5, seprog: 0.1 }))).toBeNull();
  });
});

describe("the report of a grid", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "seprog-grid-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const datasets = ["zsre", "fever", "wikipedia", "leapofthought", "wikidata5m"];
  const cells = datasets.flatMap((dataset) =>
    VARIANTS.flatMap((variant, i) =>
      [1, 4, 10, 20, 64, 128].map((K) =>
        summaryCell(dataset, K, { method: `sp-${variant}`, variant, DD: figure(0.02 + 0.1 * i) }),
      ),
    ),
  );

  it("compares the methods, states what the bases know, and stays small", async () => {
    const run = join(folder, "run");
    writeRun(run, cells);
    const content = await reportContent(await readRun(run));
    const html = await htmlReport(content);
    expect(html.match(/<svg[^>]*class="marks"/g)).toHaveLength(2 + 2 * datasets.length);
    expect(html).toContain("The paper&#39;s order of drawdown");
    expect(html.length).toBeLessThan(600_000);
    const markdown = markdownReport(content);
    for (const text of [html, markdown]) {
      expect(text).toContain("ES before editing");
      expect(text).toContain("taught wordings 0.990");
      expect(text).toContain("method − sp-seprog");
      expect(text).not.toContain("NaN");
    }
    expect(content.samples).toHaveLength(datasets.length);
  });

  it("tells what was not run", async () => {
    const run = join(folder, "missing");
    writeRun(run, cells, undefined, { notes: ["One seed."], missing: ["sp-noselect-fever-K4-s0"] });
    const { notes } = await reportContent(await readRun(run));
    expect(notes).toEqual(["One seed.", "1 planned cell was not measured: sp-noselect-fever-K4-s0."]);
  });

  it("draws a sweep against its option", async () => {
    const run = join(folder, "sweep");
    const swept = ["1", "8", "32"].flatMap((value) =>
      KS.map((K) =>
        summaryCell("zsre", K, {
          method: `seprog-p${value}`,
          sweep: { of: "seprog", option: "editor.promptLength", value },
        }),
      ),
    );
    writeRun(run, swept);
    const content = await reportContent(await readRun(run));
    expect(content.charts.map(({ title }) => title).slice(0, 2)).toEqual([
      "Edit success against editor.promptLength",
      "Drawdown against editor.promptLength",
    ]);
    expect(content.comparison[0]?.columns.map(({ title }) => title)).toEqual([
      "seprog-p1",
      "seprog-p8",
      "seprog-p32",
    ]);
    expect(content.findings).toEqual([]);
    await expect(htmlReport(content)).resolves.toContain("editor.promptLength");
  });

  it("draws one picture with a column a data set", async () => {
    const run = join(folder, "picture");
    writeRun(run, cells);
    const svg = await headlineSvg(await readRun(run), "Grid", "#123456");
    for (const dataset of datasets) expect(svg).toContain(dataset);
  });
});
