// What a profile costs, method beside method: figures checked by hand, and all that may be missing.
import { describe, expect, it } from "vitest";
import { times } from "../../src/report/number_format.js";
import { claimTable, judgedClaims, verdictOf } from "../../src/report/profile/claims.js";
import { costTable, ratioTable, scopeTable } from "../../src/report/profile/cost_tables.js";
import { partMs, phaseFigures, wholeFigures } from "../../src/report/profile/operations.js";
import { phaseTables } from "../../src/report/profile/phase_tables.js";
import { settingsOf } from "../../src/report/profile/settings.js";
import { flop, preciseDuration } from "../../src/report/units.js";
import { operation, phase, profileRecord, samples, untrained } from "../support/profile_records.js";
import { notesOf, RECORDS, rowOf, settingOf, trainStep } from "../support/profile_settings.js";

const MiB = 2 ** 20;

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
