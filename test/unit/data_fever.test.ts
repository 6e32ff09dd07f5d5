import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadFever, loadFeverFiles } from "../../src/data/datasets/fever.js";
import { type FeverFormat, readFeverFile } from "../../src/data/datasets/fever_files.js";
import { phrasings } from "../../src/data/episodes.js";
import { loadDataset } from "../../src/data/registry.js";
import { datasetStatistics } from "../../src/data/statistics.js";
import { groupKey } from "../../src/data/text.js";
import { COPY, SPLITS } from "../../src/data/types.js";
import { bytesGained, writeEndlessLine } from "../support/bad_files.js";
import { feverKiltRows, feverMalmenRows } from "../support/fever_rows.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "seprog-fever-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function save(name: string, content: string | Buffer): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}
const lines = (rows: readonly unknown[]) => rows.map((row) => JSON.stringify(row)).join("\n");
const saveLines = (name: string, rows: readonly unknown[]) => save(name, lines(rows));
const [row] = feverKiltRows(1, 0);

describe("formats", () => {
  test("De Cao et al.'s annotated KILT: both labels, spoken; the claim is none of its paraphrases", async () => {
    const kilt = {
      id: 75397,
      input: "Nikolaj Coster-Waldau worked with the Fox Broadcasting Company.",
      output: [
        { answer: "SUPPORTS", provenance: [{ title: "Nikolaj Coster-Waldau" }, { title: "Fox" }] },
        { provenance: [{ title: "Fox" }] },
      ],
      prediction: "REFUTES",
      alternatives: ["SUPPORTS"],
      filtered_rephrases: [
        "Nikolaj Coster-Waldau worked for Fox.",
        "nikolaj coster-waldau worked with the Fox Broadcasting Company",
        "Nikolaj Coster-Waldau  worked for Fox. ",
        "",
      ],
      logit: 1.5,
    };
    const { records } = await readFeverFile(await saveLines("fever-dev-kilt.jsonl", [kilt]), "kilt");
    expect(records).toEqual([
      {
        id: "fever-dev-kilt-75397",
        keys: ["nikolajcosterwaldauworkedwiththefoxbroadcastingcompany", "page nikolajcosterwaldau"],
        record: {
          x_e: kilt.input,
          y_e_options: ["True", "False"],
          in_scope: [{ x: "Nikolaj Coster-Waldau worked for Fox.", y: COPY }],
          in_scope_noisy: [],
          entailed: [],
          hard_out: [],
          x_loc: kilt.input,
          y_loc: ["True"],
        },
      },
    ]);
  });

  test("MALMEN: an array; what `alt` flips is the answer before", async () => {
    const rows = [{ prompt: "A claim.", equiv_prompt: "The claim, too.", alt: "REFUTES", unrel_prompt: "B" }];
    const path = await save("malmen.json", JSON.stringify(rows, null, 2));
    const { records } = await readFeverFile(path, "malmen");
    expect(records[0]?.record).toMatchObject({ y_e_options: ["False"], y_loc: ["True"] });
    expect(records[0]?.id).toBe("malmen-0");
  });

  test.each<[string, object, string]>([
    ["no alternatives", { alternatives: [] }, "no alternative label"],
    ["no paraphrases", { filtered_rephrases: [] }, "no paraphrase that differs from the claim"],
    ["only itself", { filtered_rephrases: [row?.input] }, "no paraphrase that differs from the claim"],
  ])("a row with %s gives no record", async (_, change, reason) => {
    const path = await saveLines("dropped.jsonl", [{ ...row, ...change }]);
    const { records, dropped } = await readFeverFile(path, "kilt");
    expect(records).toEqual([]);
    expect([...dropped]).toEqual([[reason, 1]]);
  });
});

describe("official files", () => {
  test("by folder: train and test share no claim and no page; groups validate whole", async () => {
    const directory = join(folder, "official");
    await mkdir(directory);
    await writeFile(join(directory, "fever-train-kilt.jsonl"), lines(feverKiltRows(240, 1)));
    await writeFile(join(directory, "fever-dev-kilt.jsonl"), lines(feverKiltRows(200, 2, 110)));
    const dataset = await loadDataset(`fever:${directory}`);
    const { train, validation, test: held } = dataset.splits;
    expect(held).toHaveLength(200);
    // Ten towns are in both files: their twenty train claims are left out.
    expect(train.length + validation.length).toBe(220);
    expect(validation.length).toBe(12);
    for (const { sharedGroups, sharedInputs } of datasetStatistics(dataset).overlaps)
      expect([sharedGroups, sharedInputs]).toEqual([0, 0]);
  });

  test("MALMEN's have no pages: a claim is a group", async () => {
    const train = await save("fever_train.json", JSON.stringify(feverMalmenRows(200, 1)));
    const held = await save("fever_eval.json", JSON.stringify(feverMalmenRows(200, 2, 100)));
    const { splits } = await loadFeverFiles({ train, test: held, format: "malmen" });
    expect([splits.train.length, splits.validation.length, splits.test.length]).toEqual([190, 10, 200]);
  });
});

describe("bad data", () => {
  test.each<[string, object, RegExp]>([
    [
      "a label of another kind",
      { prediction: "NOT ENOUGH INFO" },
      /:2: `prediction`: .*"SUPPORTS"\|"REFUTES"/,
    ],
    ["an empty answer", { output: [{ answer: "" }] }, /:2: `output\.0\.answer`: /],
    ["no answer", { output: [] }, /:2: `output\.0`: expected object/],
    ["a missing field", { alternatives: undefined }, /:2: `alternatives`: expected array/],
    ["a field of another type", { filtered_rephrases: "x" }, /:2: `filtered_rephrases`: expected array/],
    ["an empty claim", { input: "  " }, /:2: `input`: expected a claim but received only blanks/],
    ["an id that is taken", { id: row?.id }, /:2: `id`: expected a new id but "1000" is also at line 1/],
  ])("%s is named with file:line", async (_, change, message) => {
    const path = await saveLines("bad.jsonl", [row, { ...feverKiltRows(2, 0)[1], ...change }]);
    const reading = readFeverFile(path, "kilt");
    await expect(reading).rejects.toMatchObject({ code: "DATA_INVALID" });
    await expect(reading).rejects.toThrow(message);
    await expect(reading).rejects.toThrow(`${path}:2`);
  });

  test("every bad line is named, also in an array of many lines", async () => {
    const rows = feverMalmenRows(3, 0);
    const bad = [{ ...rows[0], alt: "MAYBE" }, rows[1], { ...rows[2], prompt: 7 }];
    const path = await save("bad.json", JSON.stringify(bad, null, 1));
    const lineOf = (text: string) => JSON.stringify(bad, null, 1).split("\n").indexOf(text) + 1;
    expect(lineOf(" {")).toBe(2);
    await expect(readFeverFile(path, "malmen")).rejects.toThrow(/bad\.json:2: `alt`/);
    await expect(readFeverFile(path, "malmen")).rejects.toThrow(/bad\.json:\d\d: `prompt`/);
  });

  test.each<[string, FeverFormat, Buffer]>([
    [
      "lines.jsonl",
      "kilt",
      Buffer.from(`${JSON.stringify(row)}\n{"input": "Caf\xe9 is a claim."}`, "latin1"),
    ],
    [
      "array.json",
      "malmen",
      Buffer.from(`[${JSON.stringify(feverMalmenRows(1, 0)[0])},\n{"prompt": "Caf\xe9"}]`, "latin1"),
    ],
  ])("%s in two encodings", async (name, format, content) => {
    const path = await save(name, content);
    const reading = readFeverFile(path, format);
    await expect(reading).rejects.toMatchObject({ code: "DATA_INVALID" });
    await expect(reading).rejects.toThrow(new RegExp(`${name}:2: .*UTF-8`));
  });

  test.each<FeverFormat>(["kilt", "malmen"])(
    "a byte order mark in front of %s is no part of it",
    async (format) => {
      const rows = format === "kilt" ? lines(feverKiltRows(2, 0)) : JSON.stringify(feverMalmenRows(2, 0));
      const path = await save(
        `bom-${format}`,
        Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(rows)]),
      );
      expect((await readFeverFile(path, format)).records).toHaveLength(2);
    },
  );

  test.each<[FeverFormat, string]>([
    ["kilt", `${JSON.stringify(row)}\n{"input": "`],
    ["malmen", `[${JSON.stringify(feverMalmenRows(1, 0)[0])},\n{"prompt": "`],
  ])("a line of 1 GB (%s) is refused before it is held", async (format, head) => {
    const path = join(folder, `endless-${format}`);
    await writeEndlessLine(path, head);
    const gained = await bytesGained(async () => {
      const reading = readFeverFile(path, format);
      await expect(reading).rejects.toMatchObject({ code: "DATA_INVALID" });
      await expect(reading).rejects.toThrow(`received a longer one at ${path}:2`);
    });
    expect(gained).toBeLessThan(2 ** 28);
  });

  test.each(["", "{", '{"a": 1}', '[{"prompt": "x"}', "[] []", "[1,, 2]", "[1 2]"])(
    "%j is no array of records",
    async (content) => {
      const reading = readFeverFile(await save("broken.json", content), "malmen");
      await expect(reading).rejects.toMatchObject({ code: "DATA_INVALID" });
      await expect(reading).rejects.toThrow(/broken\.json:1/);
    },
  );
});

describe("embedded", () => {
  test("labels are spoken, in equal numbers; an edit asks for the other one", async () => {
    const { splits } = await loadFever();
    for (const split of SPLITS)
      for (const { y_loc, y_e_options, in_scope } of splits[split]) {
        expect([...y_loc, ...y_e_options].toSorted()).toEqual(["False", "True"]);
        expect(in_scope.every(({ y }) => y === COPY)).toBe(true);
      }
    const labelled = (split: "train" | "test") =>
      splits[split].filter(({ y_loc }) => y_loc[0] === "True").length / splits[split].length;
    expect(Math.abs(labelled("train") - 0.5)).toBeLessThan(0.05);
    expect(Math.abs(labelled("test") - 0.5)).toBeLessThan(0.05);
  });

  test("no wording is both true and false, none is another claim's", async () => {
    const { splits } = await loadFever();
    const answerOf = new Map<string, string | undefined>();
    const contradictions: string[] = [];
    for (const record of SPLITS.flatMap((split) => splits[split]))
      for (const x of phrasings(record).map(groupKey)) {
        if (answerOf.has(x) && answerOf.get(x) !== record.y_loc[0]) contradictions.push(x);
        answerOf.set(x, record.y_loc[0]);
      }
    expect(contradictions).toEqual([]);
    const claims = new Map(
      SPLITS.flatMap((split) => splits[split].map(({ id, x_e }) => [groupKey(x_e), id])),
    );
    const taken = splits.test.flatMap(({ id, in_scope }) =>
      in_scope.filter(({ x }) => (claims.get(groupKey(x)) ?? id) !== id),
    );
    expect(taken).toEqual([]);
  });

  test("hard out-of-scope claims are answered as they are where they are claims of the set", async () => {
    const { splits } = await loadFever();
    const records = SPLITS.flatMap((split) => splits[split]);
    const goldOf = new Map(records.map(({ x_e, y_loc }) => [groupKey(x_e), y_loc[0]]));
    const known = records.flatMap(({ hard_out }) => hard_out.filter(({ x }) => goldOf.has(groupKey(x))));
    expect(known.length).toBeGreaterThan(100);
    expect(known.filter(({ x, y_gold }) => goldOf.get(groupKey(x)) !== y_gold[0])).toEqual([]);
  });
});
