import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadZsreFiles } from "../../src/data/datasets/zsre.js";
import { readZsreFile } from "../../src/data/datasets/zsre_files.js";
import { COPY, SPLITS } from "../../src/data/types.js";
import { bytesGained, writeEndlessLine } from "../support/bad_files.js";
import { kiltRow, knowEditRow, mendRow } from "../support/zsre_rows.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "seprog-zsre-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function save(name: string, content: string | Buffer): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
const saveLines = (name: string, rows: readonly unknown[]) =>
  save(name, rows.map((row) => JSON.stringify(row)).join("\n"));
const saveArray = (name: string, rows: readonly unknown[]) => save(name, JSON.stringify(rows));

describe("formats", () => {
  test("annotated KILT", async () => {
    const path = await saveLines("kilt.jsonl", [kiltRow(0)]);
    const { records } = await readZsreFile(path, "kilt");
    expect(records).toEqual([
      {
        id: "kilt-0",
        keys: ["whofoundedtown0", "town0"],
        record: {
          x_e: "Who founded Town 0?",
          y_e_options: ["Alternative 0", "Other 0"],
          in_scope: [
            { x: "Who was the founder of Town 0?", y: COPY },
            { x: "By whom was Town 0 founded?", y: COPY },
          ],
          in_scope_noisy: [],
          entailed: [],
          hard_out: [],
          x_loc: "Who founded Town 0?",
          y_loc: ["Founder 0"],
        },
      },
    ]);
  });

  test("MEND", async () => {
    const path = await saveArray("mend.json", [mendRow(3)]);
    const { records } = await readZsreFile(path, "mend");
    expect(records[0]?.record).toMatchObject({
      x_e: "Who founded Town 3?",
      y_e_options: ["Alternative 3"],
      in_scope: [{ x: "Who was the founder of Town 3?", y: COPY }],
      y_loc: ["Founder 3"],
    });
  });

  test("KnowEdit, with other facts of the subject; those that are the edited fact are left out", async () => {
    const path = await saveArray("knowedit.json", [knowEditRow(4)]);
    const { records } = await readZsreFile(path, "knowedit");
    expect(records[0]?.record.hard_out).toEqual([{ x: "The country of Town 4 is", y_gold: ["Country 4"] }]);
  });
});

describe("rows that give no record", () => {
  test.each<[string, object, string]>([
    ["no alternatives", { alternatives: [] }, "no alternative answer"],
    ["only the truth", { alternatives: ["founder 0"] }, "every alternative is the true answer"],
    ["no rephrases", { filtered_rephrases: [] }, "no rephrase that differs from the question"],
    [
      "only itself as rephrase",
      { filtered_rephrases: ["who founded Town 0"] },
      "no rephrase that differs from the question",
    ],
  ])("%s", async (_, change, reason) => {
    const path = await saveLines("dropped.jsonl", [{ ...kiltRow(0), ...change }]);
    const { records, dropped } = await readZsreFile(path, "kilt");
    expect(records).toEqual([]);
    expect([...dropped]).toEqual([[reason, 1]]);
  });

  test("questions about sex or gender, if asked for", async () => {
    const row = { ...kiltRow(0), input: "What is the gender of Town 0?" };
    const path = await saveLines("gender.jsonl", [row, kiltRow(1)]);
    expect((await readZsreFile(path, "kilt")).records).toHaveLength(2);
    expect((await readZsreFile(path, "kilt", { dropGenderQuestions: true })).records).toHaveLength(1);
  });
});

describe("official files", () => {
  test("train and test share no group; 5 % of the train groups validate", async () => {
    const train = await saveLines("train.jsonl", range(0, 200).map(kiltRow));
    const test_ = await saveLines("dev.jsonl", range(190, 260).map(kiltRow));
    const { splits } = await loadZsreFiles({ train, test: test_, format: "kilt" });
    expect(splits.test).toHaveLength(70);
    expect(splits.train.length + splits.validation.length).toBe(190);
    expect(splits.validation).toHaveLength(10);
    const groups = SPLITS.flatMap((split) => [...new Set(splits[split].map(({ group }) => group))]);
    expect(new Set(groups).size).toBe(groups.length);
  });

  test("a bad row is named", async () => {
    const path = await saveLines("bad.jsonl", [kiltRow(0), { ...kiltRow(1), alternatives: "x" }]);
    await expect(readZsreFile(path, "kilt")).rejects.toThrow(`${path}:2: \`alternatives\`: expected array`);
    const array = await saveArray("bad.json", [mendRow(0), { ...mendRow(1), alt: 7 }]);
    await expect(readZsreFile(array, "mend")).rejects.toThrow(`${array}:1: \`alt\`: expected string`);
  });

  test.each<[string, object, RegExp]>([
    ["an empty question", { input: " " }, /:2: `input`: expected a question/],
    ["an empty answer", { output: [{ answer: "" }, { meta: {} }] }, /:2: `output`: expected an answer/],
    ["an id that returns", { id: "town-0" }, /:2: `id`: expected a new id but "town-0" is also at line 1/],
  ])("%s is named", async (name, change, message) => {
    const rows = [kiltRow(0), { ...kiltRow(1), ...change }];
    const path = await saveLines(`${name.replaceAll(" ", "-")}.jsonl`, rows);
    await expect(readZsreFile(path, "kilt")).rejects.toThrow(message);
  });

  test("an empty answer of an array is named", async () => {
    const path = await saveArray("empty.json", [mendRow(0), { ...mendRow(1), answers: [] }]);
    await expect(readZsreFile(path, "mend")).rejects.toThrow(`${path}:1: \`answers\`: expected an answer`);
  });

  test("bytes of another encoding are named, a line of 1 GiB is refused without being held", async () => {
    const lines = `${JSON.stringify(kiltRow(0))}\n${JSON.stringify(kiltRow(1)).replace("Town", "Tówn")}\n`;
    const latin = await save("latin1.jsonl", Buffer.from(lines, "latin1"));
    await expect(readZsreFile(latin, "kilt")).rejects.toThrow(`${latin}:2: expected UTF-8 text`);
    const endless = join(folder, "endless.jsonl");
    await writeEndlessLine(endless, `${JSON.stringify(kiltRow(0))}\n{"id": "`);
    const gained = await bytesGained(async () => {
      const reading = readZsreFile(endless, "kilt");
      await expect(reading).rejects.toThrow(`received a longer one at ${endless}:2`);
    });
    expect(gained).toBeLessThan(2 ** 28);
  });

  test.each(["{", '{"a": 1}'])("%j is no JSON array", async (content) => {
    const path = await save("broken.json", content);
    await expect(readZsreFile(path, "mend")).rejects.toMatchObject({ code: "DATA_INVALID" });
    await expect(readZsreFile(path, "mend")).rejects.toThrow(/expected a JSON array/);
  });
});
