import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";

interface Table {
  readonly columns: readonly string[];
  readonly runs: readonly (readonly string[])[];
  row(result: unknown): readonly (readonly string[])[];
}

const bench = new URL("../../bench/", import.meta.url);
const tables = new URL("peers/tables.mjs", bench).href;
const { TABLES } = (await import(tables)) as { TABLES: Readonly<Record<string, Table>> };

const pair = (native: number, pytorch: number) => ({ native, pytorch, ratio: native / pytorch });
const step = { medianMs: pair(500, 1250), medianCpuMs: pair(900, 1800), grownMiB: pair(64, 256) };
const wall = (wallMs: number, cpuMs: number) => ({ wallMs, cpuMs });
const agreement = { baseTexts: 1, editedTexts: 0.995 };

/** What each script prints, as far as its table reads it. */
const RESULTS: Readonly<Record<string, unknown>> = {
  evaluate: {
    msByEdit: { product: wall(50, 80), oneRecord: wall(500, 960), batches: wall(200, 320) },
    speedUp: { oneRecord: wall(10, 12), batches: wall(4, 4) },
    agreement: { oneRecord: agreement, batches: agreement },
  },
  generate: {
    shape: "t5-small",
    rowsPerSecond: {
      "native-fp32": 60,
      "native-int8": 90,
      hf: 25,
      "hf-compile": 30,
      ct2: 40,
      "ct2-int8": 75,
    },
    medianCpuMs: { "native-fp32": 2, "native-int8": 1, hf: 5, "hf-compile": 4, ct2: 3, "ct2-int8": 1.5 },
  },
  encoder: {
    compiled: true,
    sequencesPerSecond: { native: 40, pytorch: 32 },
    speedUp: { wall: 1.25, cpu: 1.2 },
  },
  seprog: { ...step, shape: "t5-small", asWritten: true, compiled: false },
  enn: { ...step, shape: "bart-base" },
  mend: { ...step, shape: "bart-base" },
};

describe("the tables of bench/peers", () => {
  it.each(Object.entries(TABLES))(
    "%s has its place in bench/README.md and its scripts",
    async (name, table) => {
      const readme = await readFile(new URL("README.md", bench), "utf8");
      const begin = readme.indexOf(`<!-- peers:${name} -->`);
      expect(begin).toBeGreaterThan(0);
      expect(readme.indexOf(`<!-- /peers:${name} -->`)).toBeGreaterThan(begin);
      for (const [script] of table.runs)
        expect(await readFile(new URL(`peers/${script}`, bench), "utf8")).toContain("import");
    },
  );

  it.each(Object.entries(RESULTS))("%s fills every column", (name, result) => {
    const table = TABLES[name];
    for (const row of table?.row(result) ?? []) expect(row).toHaveLength(table?.columns.length ?? 0);
  });

  it("a ratio above one means that the engine is faster, a share below one that it takes less", () => {
    expect(TABLES.seprog?.row(RESULTS.seprog)).toEqual([
      [
        "t5-small",
        "as Hugging Face writes it",
        "2.50 × (500 ms / 1.25 s)",
        "2.00 × (900 ms / 1.80 s)",
        "0.25 (64 / 256 MiB)",
      ],
    ]);
    expect(TABLES.evaluate?.row(RESULTS.evaluate)[1]?.slice(3)).toEqual([
      "10.00 ×",
      "12.00 ×",
      "100.0 % / 99.5 %",
    ]);
  });

  it("requirements name exact versions", async () => {
    const text = await readFile(new URL("peers/requirements.txt", bench), "utf8");
    const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) expect(line).toMatch(/^[a-z0-9-]+==[0-9.]+$/);
  });
});
