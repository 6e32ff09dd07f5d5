// A profile run as it is read and written.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { OperationSamples, ProfileRecord } from "../../src/profile/record.js";
import { csv } from "../../src/report/csv.js";
import { blocksOf, tablesOf } from "../../src/report/document.js";
import { documentHtml } from "../../src/report/document_html.js";
import { documentMarkdown } from "../../src/report/document_markdown.js";
import { profileCsv } from "../../src/report/profile/profile_csv.js";
import { profileDocument } from "../../src/report/profile/profile_document.js";
import { isProfileRun, readProfileRun } from "../../src/report/profile/profile_run.js";
import { profileTables } from "../../src/report/profile/profile_tables.js";
import { writeProfileReports } from "../../src/report/profile/write_profile.js";
import { profileRecord, untrained, writeProfileRun } from "../support/profile_records.js";
import { notesOf, RECORDS, runOf } from "../support/profile_settings.js";

const MiB = 2 ** 20;

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "seprog-profile-report-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

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
