// What a profile costs, method beside method: figures checked by hand, and all that may be missing.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { leastMedianRatio, medianRatio } from "../../src/metrics/median_ratio.js";
import type { OperationSamples, ProfileRecord } from "../../src/profile/record.js";
import type { ResultTable } from "../../src/report/content.js";
import { csv } from "../../src/report/csv.js";
import { blocksOf, chartsOf, tablesOf } from "../../src/report/document.js";
import { documentHtml } from "../../src/report/document_html.js";
import { documentMarkdown } from "../../src/report/document_markdown.js";
import { figureName, figureSvg } from "../../src/report/figure_svg.js";
import { times } from "../../src/report/number_format.js";
import { claimTable, judgedClaims, verdictOf } from "../../src/report/profile/claims.js";
import { costTable, ratioTable, scopeTable } from "../../src/report/profile/cost_tables.js";
import { costPerEditMs, editCostTable, oneOffTable } from "../../src/report/profile/edit_costs.js";
import { paretoFront } from "../../src/report/profile/front_charts.js";
import { profileHeadline } from "../../src/report/profile/headline.js";
import { operationOf, partMs, phaseFigures, wholeFigures } from "../../src/report/profile/operations.js";
import { phaseTables } from "../../src/report/profile/phase_tables.js";
import { profileCsv } from "../../src/report/profile/profile_csv.js";
import { profileDocument } from "../../src/report/profile/profile_document.js";
import { isProfileRun, type ProfileRun, readProfileRun } from "../../src/report/profile/profile_run.js";
import { profileTables } from "../../src/report/profile/profile_tables.js";
import { type Setting, settingsOf } from "../../src/report/profile/settings.js";
import { bandsOf, highestPerColumn } from "../../src/report/profile/timeline_charts.js";
import { writeProfileReports } from "../../src/report/profile/write_profile.js";
import { flop, preciseDuration } from "../../src/report/units.js";
import {
  operation,
  phase,
  profileRecord,
  samples,
  untrained,
  writeProfileRun,
} from "../support/profile_records.js";

const MiB = 2 ** 20;

/** SEPROG takes 100 ms and 200 MiB in training, 50 ms and 100 MiB at inference. */
const RECORDS: readonly ProfileRecord[] = [
  profileRecord("seprog", 64),
  profileRecord("mend", 64, { trainMs: 320, trainBytes: 420 * MiB, inferMs: 150, inferBytes: 240 * MiB }),
  profileRecord("enn", 64, { trainMs: 900, trainBytes: 410 * MiB, inferMs: 800, inferBytes: 300 * MiB }),
  profileRecord("serac", 64, { trainMs: 80, trainBytes: 160 * MiB, inferMs: 40, inferBytes: 110 * MiB }),
  untrained("ft", 64, { inferMs: 9000, inferBytes: 400 * MiB }),
];

const runOf = (records: readonly ProfileRecord[]): ProfileRun => ({
  folder: "runs/profile-mini",
  name: "mini",
  records,
  failures: [],
  environment: { cpu: { model: "Example CPU" } },
});

function settingOf(records: readonly ProfileRecord[] = RECORDS): Setting {
  const [setting] = settingsOf(records);
  if (setting === undefined) throw new Error("no setting");
  return setting;
}

const rowOf = (table: ResultTable | null, label: string): string[] =>
  table?.rows.find((row) => row.label === label)?.cells.map(({ value }) => value) ?? [];

function trainStep(record: ProfileRecord): OperationSamples {
  const found = operationOf(record, "trainStep");
  if (found === null) throw new Error("no training step");
  return found;
}

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "seprog-profile-report-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("the ratio of two medians", () => {
  it("is that of the middles, with an interval that repeats", () => {
    const ratio = medianRatio([2, 4, 6], [1, 2, 30]);
    expect(ratio).toMatchObject({ value: 2, n: 3 });
    expect(ratio?.low).toBeLessThan(2);
    expect(ratio?.high).toBeGreaterThan(2);
    expect(medianRatio([2, 4, 6], [1, 2, 30])).toEqual(ratio);
  });

  it("has no width where nothing varies, and no value where there is nothing", () => {
    expect(medianRatio([300, 300], [100, 100, 100])).toEqual({ value: 3, low: 3, high: 3, n: 2 });
    expect(medianRatio([], [1])).toBeNull();
    expect(medianRatio([1], [])).toBeNull();
    expect(medianRatio([1], [0])).toBeNull();
    expect(leastMedianRatio([], [1])).toBeNull();
  });

  it("takes the least of several, whichever it is", () => {
    expect(leastMedianRatio([[900], [320], [500]], [100])?.value).toBe(3.2);
    // Two that are alike: the least of them is drawn below either's own middle.
    const alike = [8, 9, 10, 11, 12];
    const best = leastMedianRatio([alike, alike], [1]);
    const single = medianRatio(alike, [1]);
    expect(best?.high).toBeLessThan(single?.high ?? 0);
  });
});

describe("the tables of costs", () => {
  it("have a row a method and the four figures of Table 3", () => {
    const table = costTable(settingOf(), 64);
    expect(table.title).toBe("Costs at K = 64 (Table 3) · zsre · t5-mini · cpu · fp32 · 1 thread");
    expect(table.columns.slice(0, 4).map(({ title }) => title)).toEqual([
      "training time",
      "training memory",
      "inference time",
      "inference memory",
    ]);
    expect(rowOf(table, "seprog").slice(0, 4)).toEqual(["100 ms", "200 MiB", "50.0 ms", "100 MiB"]);
    expect(rowOf(table, "ft").slice(0, 3)).toEqual(["–", "–", "9.00 s"]);
    expect(costTable(settingOf(RECORDS.map((one) => ({ ...one, K: 128 }))), 128).title).toContain(
      "(Appendix C)",
    );
    const fever = settingOf(RECORDS.map((one) => ({ ...one, dataset: "fever" })));
    expect(costTable(fever, 64).title).not.toContain("Table 3");
  });

  it("show intervals where repetitions differ and process peaks where the system tells them", () => {
    const [seprog] = costTable(settingOf(), 64).rows;
    expect(seprog?.cells[0]?.interval).toMatch(/^9\d\.\d ms – 10\d ms$/);
    expect(seprog?.cells[1]?.interval).toBeNull();
    expect(costTable(settingOf(), 64).columns.map(({ title }) => title)).toContain("training process peak");
    const mute = RECORDS.map((record) => ({
      ...record,
      trainStep: { notApplicable: "" },
      inScope: { ...record.inScope, processPeakBytes: null },
    }));
    expect(costTable(settingOf(mute), 64).columns).toHaveLength(4);
  });

  it("show energy where the machine has a meter", () => {
    const [first = profileRecord("seprog", 64), ...others] = RECORDS;
    const metered = { ...first, inScope: { ...first.inScope, energyJ: [2, 2.5, 3] } };
    const table = costTable(settingOf([metered, ...others]), 64);
    const at = table.columns.findIndex(({ title }) => title === "inference energy");
    expect(rowOf(table, "seprog")[at]).toBe("2.50 J");
    expect(rowOf(table, "mend")[at]).toBe("–");
  });

  it("compare each method with SEPROG", () => {
    const table = ratioTable(settingOf(), 64);
    expect(rowOf(table, "mend")).toEqual(["3.20×", "2.10×", "3.00×", "2.40×"]);
    expect(rowOf(table, "serac")).toEqual(["0.800×", "0.800×", "0.800×", "1.10×"]);
    expect(rowOf(table, "ft")).toEqual(["–", "–", "180×", "4.00×"]);
    expect(table?.rows.map(({ label }) => label)).not.toContain("seprog");
    expect(ratioTable(settingOf(RECORDS.slice(1)), 64)).toBeNull();
    expect(ratioTable(settingOf(RECORDS.slice(0, 1)), 64)).toBeNull();
  });

  it("set inputs out of scope beside those in scope", () => {
    expect(rowOf(scopeTable(settingOf(), 64), "seprog")).toEqual([
      "50.0 ms",
      "25.0 ms",
      "0.500×",
      "100 MiB",
      "100 MiB",
      "64 of 64",
      "0 of 64",
      "10.0 GFLOP",
      "10.0 GFLOP",
    ]);
  });

  it("count inputs of methods without a gate as answered through the edits", () => {
    const open = profileRecord("mend", 8, {}, { takenInScope: { inScope: null, outScope: null } });
    expect(rowOf(scopeTable(settingOf([open]), 8), "mend").slice(5, 7)).toEqual(["8 of 8", "8 of 8"]);
  });

  it("stand apart for every model, data set and device", () => {
    const other = RECORDS.map((record) => ({ ...record, device: "cuda:0" }));
    expect(settingsOf([...RECORDS, ...other]).map(({ title }) => title)).toEqual([
      "zsre · t5-mini · cpu · fp32 · 1 thread",
      "zsre · t5-mini · cuda:0 · fp32 · 1 thread",
    ]);
    const seeds = settingsOf([...RECORDS, ...RECORDS.map((record) => ({ ...record, seed: 1 }))]);
    expect(seeds.map(({ title }) => title.split(" · ").at(-1))).toEqual(["seed 0", "seed 1"]);
    expect(settingOf([{ ...profileRecord("seprog", 8), dataset: null }]).title).toContain("random ids");
  });
});

describe("the paper's claims", () => {
  it("are judged by their intervals", () => {
    expect(verdictOf({ low: 2.6, high: 3 }, 2.5)).toBe("confirmed");
    expect(verdictOf({ low: 1.1, high: 2.4 }, 2.5)).toBe("refuted");
    expect(verdictOf({ low: 2.4, high: 2.6 }, 2.5)).toBe("undecided");
    expect(verdictOf({ low: 1, high: 1 }, 1)).toBe("undecided");
  });

  it("take the best gradient method in each figure", () => {
    const judged = judgedClaims(settingOf(), 64);
    expect(judged.map(({ verdict, measured }) => [verdict, times(measured.value)])).toEqual([
      ["confirmed", "3.20×"],
      // ENN needs less memory than MEND.
      ["confirmed", "2.05×"],
      ["refuted", "1.25×"],
      ["confirmed", "1.25×"],
      ["confirmed", "1.10×"],
    ]);
    expect(judged[0]?.inWords).toMatch(/^mend takes 3\.20× \(.*\) the time of seprog$/);
    expect(judged[1]?.inWords).toBe("enn takes 2.05× the memory of seprog");
    expect(judged[2]?.inWords).toContain("less than the paper says, in the same direction");
  });

  it("say where the other side is dearer", () => {
    const [seprog, ...others] = RECORDS;
    const dear = profileRecord("seprog", 64, { trainMs: 1000, inferBytes: 500 * MiB });
    expect(seprog?.method).toBe("seprog");
    const judged = judgedClaims(settingOf([dear, ...others]), 64);
    expect(judged[0]).toMatchObject({
      verdict: "refuted",
      inWords: expect.stringContaining("seprog costs more"),
    });
    expect(judged[2]).toMatchObject({
      verdict: "confirmed",
      inWords: expect.stringContaining("more than the paper says"),
    });
    expect(judged[4]).toMatchObject({ verdict: "refuted", inWords: expect.stringContaining("0.220×") });
  });

  it("are left out where a side of theirs was not measured", () => {
    expect(judgedClaims(settingOf(RECORDS.slice(0, 1)), 64)).toEqual([]);
    expect(claimTable(settingOf(RECORDS.slice(1)))).toBeNull();
    const ablation = { ...profileRecord("noselect", 64, { inferBytes: 1 }), variant: "noselect" };
    const judged = judgedClaims(settingOf([...RECORDS, ablation]), 64);
    expect(judged.at(-1)?.measured.value).toBeCloseTo(1.1, 9);
  });
});

describe("a cell", () => {
  it("is split into phases that add up to the whole", () => {
    const step = trainStep(profileRecord("seprog", 64));
    const figures = phaseFigures(step);
    expect(figures.map(({ name, wallMs }) => [name, wallMs?.value])).toEqual([
      ["host.batch", 5],
      ["train.forward", 35],
      ["train.backward", 50],
      ["train.update", 10],
    ]);
    expect(figures.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 9);
    expect([...partMs(step).values()].reduce((sum, ms) => sum + ms, 0)).toBeCloseTo(100, 9);
    expect(wholeFigures(step)).toMatchObject({ name: "whole", share: 1, peakBytes: 200 * MiB });
    // The slowest 5 % of 20 times around 100 ms: 96 … 104.
    expect(wholeFigures(step).p95Ms).toBeCloseTo(104, 0);
  });

  it("has a table an operation, without columns that nothing fills", () => {
    const tables = phaseTables(profileRecord("seprog", 64));
    expect(tables.map(({ title }) => title)).toEqual([
      "seprog, K = 64: training step",
      "seprog, K = 64: inference in scope",
      "seprog, K = 64: inference out of scope",
    ]);
    const [training] = tables;
    const titles = training?.columns.map(({ title }) => title) ?? [];
    expect(titles).not.toContain("device time");
    expect(rowOf(training ?? null, "train.forward")).toEqual([
      "35.0 ms",
      expect.any(String),
      "35.0 %",
      "40.0 MiB",
      "60.0 MiB",
      "64.0 MiB",
      "35.0 MFLOP",
      "–",
      "–",
      "1.00 GFLOP/s",
    ]);
    // 3 + 5 + 2 GFLOP in 100 ms.
    expect(rowOf(training ?? null, "whole").at(-1)).toBe("100 GFLOP/s");
    expect(phaseTables(untrained("ft", 64))).toHaveLength(2);
  });

  it("counts operations by the device's own clock where it has one", () => {
    const base = trainStep(profileRecord("seprog", 64));
    const step = { ...base, deviceMs: base.wallMs.map((ms) => ms / 2) };
    const [table] = phaseTables(profileRecord("seprog", 64, {}, { trainStep: step }));
    expect(table?.columns.map(({ title }) => title)).toContain("device time");
    expect(rowOf(table ?? null, "whole").at(-1)).toBe("200 GFLOP/s");
  });

  it("says in the notes when its phases leave out more than 2 %", () => {
    const gap = operation([phase("train.forward", "forward", 90)], 200 * MiB, { wallMs: samples(100) });
    const notes = notesOf([profileRecord("seprog", 64, {}, { trainStep: gap })]);
    expect(notes).toContain("seprog, K = 64, training step: the phases make up 90.0 % of the whole.");
    expect(notesOf(RECORDS).join()).not.toContain("make up");
  });
});

const notesOf = (records: readonly ProfileRecord[], change: Partial<ProfileRun> = {}): readonly string[] =>
  profileDocument({ ...runOf(records), ...change })
    .sections.find(({ heading }) => heading === "Notes")
    ?.blocks.flatMap((block) => (block.kind === "list" ? block.items : [])) ?? [];

describe("the cost of an edit", () => {
  const record = profileRecord("seprog", 64);

  it("has its part of what is paid once", () => {
    // 100.5 s once; 50 ms for 64 edits.
    expect(costPerEditMs(record, 1)).toBeCloseTo(100_500 + 50 / 64, 6);
    expect(costPerEditMs(record, 10_000)).toBeCloseTo(10.05 + 50 / 64, 6);
    expect(rowOf(oneOffTable(settingOf(), 64), "seprog: train_editor")).toEqual([
      "1 min 40 s",
      "200 MiB",
      "1000 steps × step",
    ]);
  });

  it("is more for one that holds", () => {
    expect(rowOf(editCostTable(settingOf(), 64), "seprog")).toEqual([
      "1 min 41 s",
      "1 min 41 s",
      "1.01 s",
      "10.8 ms",
      "0.750",
      "2 min 14 s",
      "1.34 s",
      "14.4 ms",
    ]);
  });

  it("takes edit success of a bench run where there is one", () => {
    const figure = { value: 0.5, low: 0.4, high: 0.6, n: 100 };
    const known = { ...record, quality: { ES: figure, DD: figure } };
    expect(rowOf(editCostTable(settingOf([known]), 64), "seprog")[4]).toBe("0.500");
  });

  it("is not told of edits that never hold or were never learned", () => {
    const table = editCostTable(settingOf([{ ...record, successes: 0 }]), 64);
    expect(rowOf(table, "seprog").slice(-3)).toEqual(["none holds", "none holds", "none holds"]);
    const fresh = editCostTable(settingOf([{ ...record, successes: null, editor: "fresh" }]), 64);
    expect(fresh.columns).toHaveLength(4);
    expect(notesOf([{ ...record, editor: "fresh" }]).join()).toContain("not trained");
  });
});

describe("plots", () => {
  it("draw as a front what nothing else beats", () => {
    const offer = (method: string, cost: number, success: number) => ({ method, cost, success });
    const front = paretoFront([
      offer("dear", 9, 0.9),
      offer("cheap", 1, 0.2),
      offer("beaten", 5, 0.4),
      offer("good", 3, 0.5),
      offer("same", 3, 0.4),
    ]);
    expect(front.map(({ method }) => method)).toEqual(["cheap", "good", "dear"]);
  });

  it("keep a peak between two points of a line and join bands of one kind", () => {
    const spikes = { ...emptyTimeline, sampleMs: [0, 0.001, 0.002, 1000], sampleBytes: [1, 99, 2, 3] };
    expect(highestPerColumn(spikes, 1000)).toEqual([
      { ms: 0.001, bytes: 99 },
      { ms: 1000, bytes: 3 },
    ]);
    const twice = operation(
      [phase("a", "forward", 1), phase("b", "forward", 1), phase("c", "update", 1)],
      MiB,
    );
    const timeline = {
      ...emptyTimeline,
      spanPhase: [0, 1, 2],
      spanBeginMs: [0, 10, 20],
      spanEndMs: [10, 20, 30],
    };
    expect(bandsOf(twice, timeline, 30)).toEqual([
      { part: "forward", beginMs: 0, endMs: 20 },
      { part: "update", beginMs: 20, endMs: 30 },
    ]);
  });

  it("are there for time, memory, K, success and every cell, once each", () => {
    const both = [...RECORDS, ...RECORDS.map((record) => ({ ...record, K: 128 }))];
    const titles = chartsOf(profileDocument(runOf(both))).map(({ title }) => title);
    for (const title of [
      "Costs as multiples of seprog's, K = 128",
      "Time, training step, K = 64",
      "Time, inference in scope, K = 128, shares",
      "Memory at the peak, training step, K = 64",
      "Training time against K",
      "Edit success against inference memory, K = 64",
      "Cost of an edit against the number of edits, K = 64",
      "Memory over time: seprog, training step, K = 64",
    ])
      expect(
        titles.filter((one) => one === title),
        title,
      ).toHaveLength(1);
  });

  it("stand alone with title and legend, in one ink", async () => {
    const chart = profileHeadline(runOf(RECORDS), "A <title>");
    if (chart === null) throw new Error("no picture");
    const svg = await figureSvg(chart, "#123456");
    expect(svg).toMatch(/^<svg xmlns="[^"]+" width="\d+" height="\d+"/);
    expect(svg).toContain("A &lt;title&gt;");
    for (const part of ["training time", "inference memory", "mend", "ft"])
      expect(svg).toContain(`>${part}<`);
    expect(svg).toContain("multiple of seprog");
    expect(svg).not.toContain("currentColor");
    expect(figureName("Memory over time: seprog, K = 64")).toBe("memory-over-time-seprog-k-64");
    expect(profileHeadline(runOf([]))).toBeNull();
    expect(profileHeadline(runOf(RECORDS.slice(1)))?.title).toMatch(/^Time, training step, K = 64 · zsre/);
  });
});

const emptyTimeline = { spanPhase: [], spanBeginMs: [], spanEndMs: [], sampleMs: [], sampleBytes: [] };

describe("a profile run", () => {
  it("is read, SEPROG first, and written as HTML, Markdown and CSV", async () => {
    const run = join(folder, "profile-mini");
    writeProfileRun(run, RECORDS.toReversed());
    expect(isProfileRun(run)).toBe(true);
    const read = await readProfileRun(run);
    expect(read.name).toBe("mini");
    expect(read.records.map(({ method }) => method)).toEqual(["seprog", "enn", "ft", "mend", "serac"]);
    const paths = await writeProfileReports(read, run);
    const html = readFileSync(paths.html, "utf8");
    const markdown = readFileSync(paths.markdown, "utf8");
    for (const text of [html, markdown]) {
      for (const part of ["Costs at K = 64", "train.backward", "Example CPU", "confirmed", "c0ffee00c0ff"])
        expect(text).toContain(part);
      expect(text).not.toMatch(/NaN|undefined|Infinity/);
    }
    expect(html).toContain("nothing is trained before the first edit");
    const ids = [...html.matchAll(/\bid="([^"]+)"/g)].map((match) => match[1]);
    expect(new Set(ids).size).toBe(ids.length);
    const headings = [...html.matchAll(/<h([1-6])/g)].map((match) => Number(match[1]));
    expect(headings.filter((level, i) => level > (headings[i - 1] ?? 0) + 1)).toEqual([]);
  });

  it("says in CSV one row a phase, operation and cell", async () => {
    const lines = profileCsv({ records: RECORDS }).split("\r\n");
    // Four methods with 5 + 6 + 6 rows, FT with 6 + 6; the header and the end.
    expect(lines).toHaveLength(4 * 17 + 12 + 2);
    const names = lines[0]?.split(",") ?? [];
    const row = lines.find((line) => line.includes("trainStep,train.forward"))?.split(",") ?? [];
    const field = (name: string): string | undefined => row[names.indexOf(name)];
    expect(row).toHaveLength(names.length);
    expect([field("method"), field("K"), field("group"), field("wall_ms_median")]).toEqual([
      "seprog",
      "64",
      "forward",
      "35",
    ]);
    expect([field("share"), field("flops_forward"), field("energy_j_median")]).toEqual([
      "0.35",
      "35000000",
      "",
    ]);
    const whole = lines.find((line) => line.includes("trainStep,whole"))?.split(",") ?? [];
    expect(whole[names.indexOf("process_peak_bytes")]).toBe(String((200 + 219) * MiB));
  });

  it("quotes what CSV would read otherwise", () => {
    expect(
      csv(
        ["a", "b"],
        [
          ['say "x", y', "two\nlines"],
          [null, true],
        ],
      ),
    ).toBe('a,b\r\n"say ""x"", y","two\nlines"\r\n,true\r\n');
  });

  it("escapes what names and reasons say", async () => {
    const hostile = '<img src=x onerror="alert(1)"> | `rm` *b*';
    const record = profileRecord(hostile, 64, {}, { variant: "mend", dataset: hostile, model: hostile });
    const ft = { ...untrained("ft", 64), trainStep: { notApplicable: hostile } };
    const report = profileDocument({ ...runOf([record, ft]), name: hostile });
    const html = await documentHtml(report);
    expect(html).not.toContain("<img");
    expect(html).toContain("&lt;img src=x onerror=&quot;alert(1)&quot;&gt;");
    const markdown = documentMarkdown(report);
    expect(markdown).not.toMatch(/<img|[^\\]`rm/);
    expect(tablesOf(report).length).toBeGreaterThan(0);
    for (const table of markdown.split("\n\n").filter((part) => part.startsWith("|"))) {
      const widths = table
        .trim()
        .split("\n")
        .map((line) => line.match(/(?<!\\)\|/g)?.length);
      expect(new Set(widths).size).toBe(1);
    }
  });

  it("of one bare cell leaves out what it cannot say", async () => {
    const bare = (one: OperationSamples): OperationSamples => ({
      ...one,
      processPeakBytes: null,
      flops: null,
      memoryMap: null,
      timeline: null,
      peakReservedBytes: [],
      phases: one.phases.map((own) => ({ ...own, flops: null })),
    });
    const full = profileRecord("mend", 1);
    const record: ProfileRecord = {
      ...full,
      dataset: null,
      trainStep: { notApplicable: "no" },
      inScope: bare(full.inScope),
      outScope: bare(full.outScope),
      oneOff: [],
      successes: null,
      parameters: { model: 1, editor: null },
      receipt: { ...full.receipt, code: { version: "0.1.0", commit: null }, editorFingerprint: null },
    };
    const report = profileDocument(runOf([record]));
    const headings = report.sections.map(({ heading }) => heading);
    for (const missing of [
      "The paper's claims",
      "Where the memory goes",
      "Cost against K",
      "Edit success against cost",
    ])
      expect(headings).not.toContain(missing);
    const notes = notesOf([record]);
    for (const word of ["FLOPs", "Memory by role", "Energy", "Process peaks"])
      expect(
        notes.some((note) => note.startsWith(word)),
        word,
      ).toBe(true);
    expect(await documentHtml(report)).not.toMatch(/NaN|undefined|Infinity/);
    expect(profileTables({ records: [record] })).toHaveLength(1);
    expect(blocksOf(report).length).toBeGreaterThan(3);
  });

  it("lists cells that failed", async () => {
    const run = join(folder, "failed");
    writeProfileRun(run, RECORDS.slice(0, 1));
    const failure = {
      schemaVersion: 1,
      kind: "profile-failure",
      method: "slag",
      dataset: null,
      model: "t5-3b",
      K: 64,
      code: "OUT_OF_MEMORY",
      message: "no room",
    };
    writeFileSync(join(run, "profiles", "0-K64", "failure.json"), JSON.stringify(failure));
    const read = await readProfileRun(run);
    const note = "slag, K = 64, random ids · t5-3b: not profiled (OUT_OF_MEMORY: no room).";
    expect(notesOf(read.records, { failures: read.failures })).toContain(note);
    rmSync(join(run, "profiles", "0-K64", "profile.json"));
    const none = await readProfileRun(run);
    expect(none.records).toEqual([]);
    const markdown = documentMarkdown(profileDocument(none));
    expect(markdown).toContain("No cell could be profiled");
    expect(markdown).toContain("no room");
    expect(profileTables(none)).toEqual([]);
  });

  it("is refused where there is none or a record is damaged", async () => {
    await expect(readProfileRun(folder)).rejects.toMatchObject({ code: "DATA_INVALID" });
    const run = join(folder, "damaged");
    writeProfileRun(run, RECORDS.slice(0, 1));
    writeFileSync(join(run, "profiles", "0-K64", "profile.json"), '{"schemaVersion": 1}');
    await expect(readProfileRun(run)).rejects.toMatchObject({
      code: "DATA_INVALID",
      message: expect.stringContaining("profile.json"),
    });
  });
});

describe("text forms of costs", () => {
  it("put units with three digits", () => {
    expect(
      [0, 0.0852, 0.9996, 4.123, 45.67, 412.3, 999.6, 1300, 45_670, 61_000].map(preciseDuration),
    ).toEqual([
      "0 ms",
      "85.2 µs",
      "1.00 ms",
      "4.12 ms",
      "45.7 ms",
      "412 ms",
      "1.00 s",
      "1.30 s",
      "45.7 s",
      "1 min 01 s",
    ]);
    expect([0, 12, 999, 1000, 1.234e9, 9.996e11].map(flop)).toEqual([
      "0 FLOP",
      "12 FLOP",
      "999 FLOP",
      "1.00 kFLOP",
      "1.23 GFLOP",
      "1.00 TFLOP",
    ]);
    expect([0.0412, 1, 2.414, 13.26, 132.4].map(times)).toEqual([
      "0.0412×",
      "1.00×",
      "2.41×",
      "13.3×",
      "132×",
    ]);
  });
});
