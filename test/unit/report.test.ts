import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HEADLINE_COLUMNS } from "../../src/report/columns.js";
import { reportContent, resultTable } from "../../src/report/content.js";
import { escapeHtml, escapeMarkdown } from "../../src/report/escape.js";
import { htmlReport } from "../../src/report/html.js";
import { markdownReport } from "../../src/report/markdown.js";
import { readRun } from "../../src/report/run_data.js";
import { pickSamples } from "../../src/report/samples.js";
import { meanOver, toSeries } from "../../src/report/series.js";
import { textTable } from "../../src/report/text_table.js";
import { bytes, duration } from "../../src/report/units.js";
import { headlineSvg, writeReports } from "../../src/report/write.js";
import { editRecord, figure, summaryCell, writeRun } from "../support/run_fixture.js";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "seprog-report-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const KS = [1, 4, 64];
const cells = ["counterfact", "zsre"].flatMap((dataset) => KS.map((K) => summaryCell(dataset, K)));

describe("series", () => {
  it("are named by what tells them apart and sorted by K", () => {
    expect(
      toSeries([...cells].reverse()).map(({ name, cells: own }) => [name, own.map(({ K }) => K)]),
    ).toEqual([
      ["zsre", KS],
      ["counterfact", KS],
    ]);
    const other = cells.map((cell) => ({ ...cell, method: "other" }));
    expect(toSeries([...cells, ...other]).map(({ name }) => name)).toContain("other · zsre");
    expect(toSeries(cells.slice(0, 1)).map(({ name }) => name)).toEqual(["seprog"]);
  });

  it("average over the cells that have the figure", () => {
    const some = [
      summaryCell("a", 1, { ESnoisy: figure(0.5) }),
      summaryCell("a", 4, { ESnoisy: null }),
      summaryCell("a", 10, { ESnoisy: figure(1) }),
    ];
    expect(meanOver(some, (cell) => cell.ESnoisy)).toBe(0.75);
    expect(meanOver(some.slice(1, 2), (cell) => cell.ESnoisy)).toBeNull();
  });
});

describe("terminal table", () => {
  it("aligns figures, shows intervals of shares and ends with the mean", () => {
    const [series] = toSeries(cells.slice(0, 2));
    if (!series) throw new Error("no series");
    expect(textTable(resultTable(series, HEADLINE_COLUMNS)).split("\n")).toEqual([
      "seprog",
      "   K                    ES                    DD   step  step peak  infer  infer peak",
      "────  ────────────────────  ────────────────────  ─────  ─────────  ─────  ──────────",
      "   1  0.950 [0.920, 0.980]  0.010 [0.000, 0.020]  13 ms   62.5 MiB   7 ms    24.4 MiB",
      "   4  0.850 [0.820, 0.880]  0.020 [0.010, 0.030]  18 ms   70.0 MiB  10 ms    25.6 MiB",
      "────  ────────────────────  ────────────────────  ─────  ─────────  ─────  ──────────",
      "mean                 0.900                 0.015  16 ms   66.3 MiB   8 ms    25.0 MiB",
    ]);
  });

  it("leaves out columns that no cell has", () => {
    const [series] = toSeries([summaryCell("a", 1, { train: null })]);
    if (!series) throw new Error("no series");
    expect(textTable(resultTable(series, HEADLINE_COLUMNS))).not.toContain("step");
  });
});

describe("reports", () => {
  it("show every figure, sample and fact about the machine in both forms", async () => {
    const run = join(folder, "run");
    writeRun(run, cells);
    const paths = await writeReports(await readRun(run), run);
    const html = readFileSync(paths.html, "utf8");
    const markdown = readFileSync(paths.markdown, "utf8");
    for (const text of [html, markdown]) {
      expect(text).toContain("0.950");
      expect(text).toContain("Example CPU");
      expect(text).toContain("Person 0, a native speaker of");
    }
    expect(html.match(/<svg[^>]*class="marks"/g)).toHaveLength(6);
    expect(markdown).toContain("| 64 | 0.650 (0.620 – 0.680) |");
  });

  it("need nothing from outside: no address but the SVG namespaces, one script that is inside", async () => {
    const run = join(folder, "self-contained");
    writeRun(run, cells);
    const html = await htmlReport(await reportContent(await readRun(run)));
    expect(html).not.toMatch(/<script [^>]|<link|@import|\bsrc=/);
    const scripts = [...html.matchAll(/<script>([\s\S]*?)<\/script>/g)].map(([, script]) => script ?? "");
    expect(scripts).toHaveLength(1);
    const digest = createHash("sha256")
      .update(scripts[0] ?? "")
      .digest("base64");
    expect(html).toContain(`default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${digest}'`);
    const addresses = html.match(/https?:\/\/[^"'\s<)]+/g) ?? [];
    expect(addresses.filter((address) => !address.startsWith("http://www.w3.org/"))).toEqual([]);
    const ids = [...html.matchAll(/\bid="([^"]+)"/g)].map((match) => match[1]);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("escape what models and data say", async () => {
    const run = join(folder, "hostile");
    const hostile = '<img src=x onerror="alert(1)"> | `rm` *b* &amp;\n# title';
    writeRun(run, [summaryCell("counterfact", 1)], [editRecord(1, { question: hostile, answer: hostile })]);
    const content = await reportContent(await readRun(run));
    const html = await htmlReport(content);
    expect(html).not.toContain("<img");
    expect(html).toContain("&lt;img src=x onerror=&quot;alert(1)&quot;&gt;");
    const line =
      markdownReport(content)
        .split("\n")
        .find((text) => text.startsWith("Edit:")) ?? "";
    expect(line).toContain("&lt;img");
    expect(line).toContain("\\| \\`rm\\` \\*b\\*");
    expect(line).toContain("\\# title");
  });

  it("can be written for a single cell without rephrases, gate or training cost", async () => {
    const run = join(folder, "bare");
    const bare = {
      ESnoisy: null,
      DDhard: null,
      gate: null,
      train: null,
      teacherForced: { ES: figure(1), DD: figure(0) },
    };
    writeRun(run, [summaryCell("counterfact", 1, bare)], [editRecord(0, { inScope: [], noisy: [] })]);
    const html = await htmlReport(await reportContent(await readRun(run)));
    expect(html).toContain("own wording");
    expect(html).not.toContain("NaN");
  });

  it("are refused for a folder that is no finished run or holds a damaged record", async () => {
    await expect(readRun(folder)).rejects.toMatchObject({ code: "DATA_INVALID" });
    const run = join(folder, "damaged");
    writeRun(run, [summaryCell("counterfact", 1)]);
    writeFileSync(join(run, "cells", "seprog-counterfact-K1-s0", "edits.jsonl"), "{}\n");
    const content = reportContent(await readRun(run));
    await expect(content).rejects.toMatchObject({
      code: "DATA_INVALID",
      message: expect.stringContaining("edits.jsonl:1"),
    });
  });

  it("draw one picture with its own ink", async () => {
    const run = join(folder, "picture");
    writeRun(run, cells);
    const svg = await headlineSvg(await readRun(run), "A <title>", "#123456");
    expect(svg).toMatch(/^<svg/);
    expect(svg).toContain("A &lt;title&gt;");
    expect(svg).toContain("#123456");
    expect(svg).not.toContain("currentColor");
  });
});

describe("samples", () => {
  it("hold failures and successes in file order", () => {
    const samples = pickSamples([0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((index) => editRecord(index)));
    const wrong = samples.filter(({ rows }) => rows.some(({ right }) => !right));
    expect(samples).toHaveLength(6);
    expect(wrong.map(({ question }) => question)).toEqual([
      "The mother tongue of Person 0 is",
      "The mother tongue of Person 3 is",
    ]);
    expect(samples.map(({ question }) => question)).toEqual(
      samples.map(({ question }) => question).toSorted(),
    );
  });
});

describe("samples of a method that fails", () => {
  it("hold failures only, as many as fit", () => {
    const samples = pickSamples([0, 3, 6, 9, 12, 15, 18].map((index) => editRecord(index)));
    expect(samples).toHaveLength(6);
  });
});

describe("text forms", () => {
  it("escape", () => {
    expect(escapeHtml(`<a href="x">'&`)).toBe("&lt;a href=&quot;x&quot;&gt;&#39;&amp;");
    expect(escapeMarkdown("a|b\nc<d>")).toBe("a\\|b c&lt;d&gt;");
  });

  it("put units", () => {
    expect([0.4, 999, 1500, 59_000, 61_000, 3_720_000].map(duration)).toEqual([
      "0 ms",
      "999 ms",
      "1.5 s",
      "59 s",
      "1 min 01 s",
      "1 h 02 min",
    ]);
    expect([0, 1023, 1024, 1_500_000, 3 * 1024 ** 3].map(bytes)).toEqual([
      "0 B",
      "1023 B",
      "1.00 KiB",
      "1.43 MiB",
      "3.00 GiB",
    ]);
  });
});
