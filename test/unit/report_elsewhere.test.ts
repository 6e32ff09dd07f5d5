// What a report says of answers that no editor of this package gave, and of what nobody measured.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SummaryCell } from "../../src/evaluation/records.js";
import { compareRuns } from "../../src/report/comparison/compare_runs.js";
import { runFormats } from "../../src/report/formats.js";
import { readRun } from "../../src/report/run_data.js";
import { writeReports } from "../../src/report/write.js";
import { editRecord, summaryCell, writeRun } from "../support/run_fixture.js";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "seprog-elsewhere-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const system = (name: string, K: number, change: Partial<SummaryCell> = {}): SummaryCell =>
  summaryCell("zsre", K, {
    method: name,
    variant: "predictions",
    origin: { kind: "predictions", sources: [{ path: `${name}.jsonl`, checksum: "ab".repeat(32) }] },
    ...{ model: null, seed: null, train: null, inference: null, gate: null, leakGap: null },
    teacherForced: { ES: null, DD: null },
    ...change,
  });

/** Without what the unedited model says. */
const blind = (name: string, K: number): SummaryCell =>
  system(name, K, {
    ...{ DD: null, DDhard: null, ESgained: null },
    base: { accuracy: null, ES: null },
  });

async function markdownOf(name: string, cells: readonly SummaryCell[]): Promise<string> {
  const run = join(folder, name);
  writeRun(
    run,
    cells,
    [0, 1, 2].map((index) => editRecord(index)),
    { models: {} },
  );
  const { markdown } = await writeReports(await readRun(run), run);
  return readFileSync(markdown, "utf8");
}

describe("answers made elsewhere", () => {
  it("have no column of what was not measured, and the reason", async () => {
    const markdown = await markdownOf("one", [system("theirs", 1), system("theirs", 8)]);
    expect(markdown).toContain("| K | ES | DD |\n");
    expect(markdown).not.toMatch(/infer|step peak|answers\/s|ES forced|\b0 ms\b|\b0 B\b/);
    expect(markdown).toContain("Times and peaks of theirs are n/a: the edits were made elsewhere");
    expect(markdown).toContain(
      `| theirs zsre K=8 | answers in a file | theirs.jsonl | ${"ab".repeat(32)} | theirs itself, before any edit |`,
    );
  });

  it("are compared where both have a figure; a missing one is neither tested nor counted as 0", async () => {
    const markdown = await markdownOf("two", [system("theirs", 1), blind("blind", 1)]);
    expect(markdown).toMatch(/\| theirs − blind \| \S+ \([^)]*\) \| (<|\d)[^|]* \| – \| – \|/);
    expect(markdown).toMatch(
      /## Drawdown DD, mean over K.*\n\n\| data set \| theirs \| blind \|\n.*\n\| zsre \| 0\.\d+ \([^)]*\) \| – \|/,
    );
    expect(markdown).toContain("| theirs zsre K=1 |");
    expect(markdown).toMatch(/\| blind zsre K=1 \| .* \| no base model \|/);
  });

  it("say n/a of a base that nobody asked", async () => {
    const markdown = await markdownOf("blind", [blind("blind", 1)]);
    expect(markdown).toContain("| zsre | no base model | n/a | n/a | – |");
    const formats = await runFormats(await readRun(join(folder, "blind")));
    expect(await formats.picture(undefined, "black")).toContain("<svg");
  });

  it("of several schedules are data sets of their own", async () => {
    const markdown = await markdownOf("schedules", [
      system("theirs", 4),
      system("theirs", 2, { schedule: "gap=1", configHash: "other" }),
    ]);
    expect(markdown).toContain("theirs zsre, gap=1 K=2");
    expect(markdown).toMatch(/## zsre, gap=1\n\n\| K \| ES \| DD \|\n.*\n\| 2 \|/);
  });

  it("can be had in every format, and compared with an earlier run of theirs", async () => {
    const run = join(folder, "formats");
    writeRun(run, [system("theirs", 1), blind("blind", 1)]);
    const formats = await runFormats(await readRun(run));
    const [header = "", first = ""] = formats.csv().split("\n");
    const at = (name: string): string | undefined => first.split(",")[header.split(",").indexOf(name)];
    expect([at("method"), at("model"), at("seed"), at("inference_wall_ms")]).toEqual(["theirs", "", "", ""]);
    expect(await formats.picture(undefined, "black")).toContain("<svg");
    expect(await formats.html()).toContain("Where the answers come from");
    const { figures } = compareRuns(await readRun(run), await readRun(run));
    expect(figures.map(({ name }) => name)).not.toContain("inference: time");
    expect(figures.filter(({ name }) => name === "ES")).toHaveLength(2);
    expect(figures.filter(({ name }) => name === "DD")).toHaveLength(1);
  });
});
