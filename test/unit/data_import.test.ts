import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readRecords } from "../../src/data/datasets/jsonl.js";
import { evaluationEpisodes } from "../../src/data/evaluation_episodes.js";
import { type ImportOptions, openImport } from "../../src/data/importers/import_records.js";
import { recordSchema } from "../../src/data/schema.js";
import { COPY, type EditRecord } from "../../src/data/types.js";
import { writeEndlessLine } from "../support/bad_files.js";
import { feverKiltRows } from "../support/fever_rows.js";
import {
  easyEditCounterfactRow,
  oneHop,
  originalCounterfactRow,
  slagFeverRow,
  slagZsreRow,
  wikiBigEditRow,
  wikiBioRow,
  wikiRecentRow,
} from "../support/import_rows.js";
import { leapOfThoughtRows } from "../support/leapofthought_rows.js";
import { slagLines } from "../support/wikidata5m_rows.js";
import { kiltRow, knowEditRow, mendRow } from "../support/zsre_rows.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "seprog-import-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function save(name: string, content: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}
const range = (count: number) => Array.from({ length: count }, (_, i) => i);
const saveArray = (name: string, rows: readonly unknown[]) => save(name, JSON.stringify(rows, null, 2));
const saveLines = (name: string, rows: readonly unknown[]) =>
  save(name, rows.map((row) => JSON.stringify(row)).join("\n"));

async function imported(path: string, options?: ImportOptions) {
  const { layout, counts, records } = await openImport(path, options);
  const found: EditRecord[] = [];
  for await (const record of records()) found.push(record);
  return { title: layout.title, counts, records: found };
}

/** What is written is what the package reads as a user's own file. */
async function readBack(records: readonly EditRecord[]): Promise<EditRecord[]> {
  return readRecords(await saveLines("written.jsonl", records));
}

describe("EasyEdit", () => {
  test("zsRE, without pairs about anything else", async () => {
    const rows = range(3).map(mendRow);
    const { records, counts } = await imported(await saveArray("zsre_mend_eval.json", rows));
    expect(records[2]).toEqual({
      id: "zsre_mend_eval-2",
      group: "town2",
      x_e: "Who founded Town 2?",
      y_e_options: ["Alternative 2"],
      in_scope: [{ x: "Who was the founder of Town 2?", y: COPY }],
      in_scope_noisy: [],
      entailed: [],
      hard_out: [],
      x_loc: "Who founded Town 2?",
      y_loc: ["Founder 2"],
    });
    expect([...counts.omitted]).toEqual([["locality question about something else", 3]]);
  });

  const entailed = [{ x: "Into which lake does the river of Town 0 flow?", y: "Lake 0" }];
  test.each([
    ["zsRE", mendRow],
    ["CounterFact", easyEditCounterfactRow],
    ["ROME's CounterFact", originalCounterfactRow],
  ])("%s: a portability question follows from the edit; a row may have none", async (_, rowOf) => {
    const rows = [
      { ...rowOf(0), portability: oneHop(0) },
      { ...rowOf(1), portability: {} },
      { ...rowOf(2), portability: { ...oneHop(2), "New Answer": " " } },
      {
        ...rowOf(3),
        portability: { "New Question": rowOf === mendRow ? "who founded town 3" : "", "New Answer": "x" },
      },
    ];
    const { records, counts } = await imported(await saveArray("portability_gpt4.json", rows));
    expect(records.map((record) => record.entailed)).toEqual([entailed, [], [], []]);
    expect(counts.omitted.get("portability question without an answer")).toBe(1);
  });

  test("what follows from an edit is asked where it has no rephrase, and excuses no edit that has", async () => {
    const rows = range(12).map((i) => ({ ...easyEditCounterfactRow(i), portability: oneHop(i) }));
    const { records } = await imported(await saveArray("counterfact_portability_gpt4.json", rows));
    const [episode] = evaluationEpisodes(records, 2, { maxEdits: 2, minEpisodes: 1 });
    expect(episode?.inScope.map(({ kind }) => kind).sort()).toEqual([
      ...["entailed", "entailed", "noisy", "noisy", "self", "self"],
    ]);
    const known = { x_e: "a", y_e_options: ["b"], base_pred: "b", entailed };
    expect(recordSchema.safeParse(known).success).toBe(true);
    const reworded = { ...known, in_scope: [{ x: "A?", y: COPY }] };
    expect(recordSchema.safeParse(reworded).success).toBe(false);
  });

  test("CounterFact: rephrases are noisy, neighbours must stay", async () => {
    const path = await saveArray("counterfact-edit.json", [easyEditCounterfactRow(4)]);
    const { records } = await imported(path);
    expect(records[0]).toMatchObject({
      x_e: "The river of Town 4 is",
      y_e_options: ["Newbrook 4"],
      in_scope: [],
      in_scope_noisy: [{ x: "It rained. Town 4 lies on the", y: COPY }],
      hard_out: [{ x: "The river of Village 4 is", y_gold: ["Oldbrook 4"] }],
      y_loc: ["Oldbrook 4"],
    });
  });

  test("CounterFact as ROME released it: the same record, with its relation", async () => {
    const one = await imported(await saveArray("easy.json", [easyEditCounterfactRow(1)]));
    const other = await imported(await saveArray("multi_counterfact.json", [originalCounterfactRow(1)]));
    expect(other.records[0]).toMatchObject({
      x_e: one.records[0]?.x_e,
      y_e_options: one.records[0]?.y_e_options,
      y_loc: one.records[0]?.y_loc,
      relation: "P9000",
    });
    expect(other.records[0]?.in_scope_noisy).toHaveLength(2);
    expect(other.records[0]?.hard_out).toHaveLength(2);
  });

  test("KnowEdit: an alias is a rephrase, what must be reasoned follows from the edit", async () => {
    const path = await saveArray("wiki_recent.json", [wikiRecentRow(0), wikiRecentRow(1)]);
    const { records, counts } = await imported(path);
    expect(records[1]).toMatchObject({
      in_scope: [{ x: "The name of the mayor of T. No. 1 is", y: COPY }],
      entailed: [
        { x: "The mayor's birthplace of Town 1 is", y: "Somewhere" },
        { x: "Mayor 1 governs", y: "Town 1" },
      ],
      hard_out: [{ x: "The name of the country of Town 1 is", y_gold: ["Country 1", "C1"] }],
    });
    expect(Object.fromEntries(counts.omitted)).toEqual({
      "forgetfulness question": 2,
      "locality question without an answer": 2,
    });
  });

  test("KnowEdit's zsRE: a locality question with the edited answer is left out", async () => {
    const row = knowEditRow(0);
    const locality = {
      Relation_Specificity: [{ prompt: "Its founder is", ground_truth: ["alternative 0"] }],
    };
    const { records, counts } = await imported(await saveArray("ke.json", [{ ...row, locality }]));
    expect(records[0]?.in_scope).toEqual([{ x: "Who was the founder of Town 0?", y: COPY }]);
    expect(records[0]?.hard_out).toEqual([]);
    expect([...counts.omitted.values()]).toEqual([1]);
  });

  test("WikiBio and WikiBigEdit", async () => {
    const next = { ...wikiBioRow(3), text: "This is a passage about town 3. It grew." };
    const bio = await imported(await saveArray("wikibio.json", [wikiBioRow(3), next, wikiBioRow(4)]));
    expect(bio.records[0]?.y_e_options).toEqual(["It has 5 gates."]);
    const [first, second, third] = bio.records.map(({ group }) => group);
    expect([first === second, first === third]).toEqual([true, false]);
    expect(bio.records[0]?.hard_out).toHaveLength(1);
    const big = await imported(await saveArray("big.json", [wikiBigEditRow(0), wikiBigEditRow(1)]));
    expect(big.records[0]).toMatchObject({
      in_scope: [{ x: "Which person governs Town 0 as mayor?", y: COPY }],
      in_scope_noisy: [{ x: "Arr, who be the mayor of Town 0?", y: COPY }],
      entailed: [{ x: "Where was the mayor of Town 0 born?", y: "Somewhere" }],
      hard_out: [{ x: "Who is the mayor of Village 0?", y_gold: ["Other 0"] }],
    });
    expect(big.records[1]?.entailed).toEqual([]);
    expect([...big.counts.omitted]).toEqual([]);
  });
});

describe("MEND", () => {
  test("zsRE and FEVER have the same keys and are told apart", async () => {
    const questions = await imported(await saveLines("zsre.jsonl", range(3).map(kiltRow)));
    expect(questions.title).toContain("zsRE");
    expect(questions.records[0]).toMatchObject({
      y_e_options: ["Alternative 0", "Other 0"],
      y_loc: ["Founder 0"],
    });
    const claims = await imported(await saveLines("fever.jsonl", feverKiltRows(6, 1)));
    expect(claims.title).toContain("FEVER");
    expect(new Set(claims.records.flatMap(({ y_e_options }) => y_e_options))).toEqual(
      new Set(["True", "False"]),
    );
  });

  test("the Wikipedia passages are refused with what to do instead", async () => {
    const path = await save("train.json", '{"original": ["a"], "completions": ["b"], "n_tokens": 10}');
    await expect(openImport(path)).rejects.toMatchObject({
      code: "UNSUPPORTED",
      message: expect.stringContaining("wikipedia:FOLDER"),
    });
  });
});

describe("SLAG", () => {
  test("Wikidata5m: two lines a subject, labels of the relation, the other fact must stay", async () => {
    const path = await saveLines("filtered.jsonl", range(20).flatMap(slagLines));
    const { records, counts } = await imported(path, { split: "validation" });
    expect(counts).toMatchObject({ rows: 40, records: 40 });
    const [first, second] = records;
    expect(first?.group).toBe(second?.group);
    expect(first?.hard_out).toEqual([{ x: second?.x_e, y_gold: second?.y_loc }]);
    expect(first?.x_e.endsWith("to ")).toBe(true);
    expect(first?.split).toBe("validation");
    for (const { y_e_options, y_loc } of records)
      for (const label of y_e_options) expect(y_loc).not.toContain(label);
  });

  test("Wikidata5m: lines that do not belong together are named", async () => {
    const lines = range(3).flatMap(slagLines);
    const path = await saveLines("shifted.jsonl", lines.slice(1));
    await expect(openImport(path)).rejects.toMatchObject({
      code: "DATA_INVALID",
      message: expect.stringMatching(
        /shifted\.jsonl:1: .*one subject[\s\S]*shifted\.jsonl:5: .*end of the file/,
      ),
    });
  });

  test("zsRE: wordings of KILT, answers of the relation's other questions", async () => {
    const rows = range(4).map(slagZsreRow);
    const { records } = await imported(await saveLines("zeroshot.jsonl", rows));
    expect(records[0]).toMatchObject({
      x_e: "Who founded Town 0?",
      in_scope: [{ x: "By whom was Town 0 founded?", y: COPY }],
      y_loc: ["Founder 0"],
      relation: "founded by",
    });
    const labels = new Set(records.flatMap(({ y_e_options }) => y_e_options));
    expect([...labels].every((label) => /^Founder [0-3]$/.test(label))).toBe(true);
    expect(records[0]?.y_e_options).not.toContain("Founder 0");
  });

  test("zsRE: beams that an experiment wrote down come first; a lone question has no other answer", async () => {
    const written = { ...slagZsreRow(0), experiment_bart_alt_preds: ["Beam", "founder 0"] };
    const lone = { ...slagZsreRow(1), input: "Town 1 [SEP] twinned with" };
    const { records, counts } = await imported(await saveLines("beams.jsonl", [written, lone]));
    expect(records.map(({ y_e_options }) => y_e_options)).toEqual([["Beam"]]);
    expect([...counts.leftOut]).toEqual([["no other answer to edit to in the file", 1]]);
  });

  test("FEVER: both classes, no paraphrases", async () => {
    const { records } = await imported(await saveLines("reshuffled.jsonl", range(2).map(slagFeverRow)));
    expect(records.map(({ y_loc }) => y_loc)).toEqual([["True"], ["False"]]);
    expect(records[0]).toMatchObject({ y_e_options: ["False", "True"], in_scope: [] });
  });

  test("LeapOfThought: rows that state their rule are counted, groups go by subject", async () => {
    const rows = leapOfThoughtRows(30, 0, "dev");
    const { records, counts } = await imported(await saveLines("taxonomic.jsonl", rows));
    expect(counts.leftOut.get("no rule that is left unstated")).toBe(6);
    expect(counts.records + [...counts.leftOut.values()].reduce((sum, n) => sum + n, 0)).toBe(30);
    expect(
      records.every(({ y_e_options, entailed }) => y_e_options[0] === "True" && entailed.length === 1),
    ).toBe(true);
    expect(new Set(records.map(({ group }) => group)).size).toBeLessThan(records.length);
  });
});

describe("any form", () => {
  const forms: readonly (readonly [string, () => Promise<string>])[] = [
    ["EasyEdit zsRE", () => saveArray("a.json", range(5).map(mendRow))],
    ["EasyEdit CounterFact", () => saveArray("b.json", range(5).map(easyEditCounterfactRow))],
    ["ROME CounterFact", () => saveArray("c.json", range(5).map(originalCounterfactRow))],
    [
      "EasyEdit with portability",
      () =>
        saveArray(
          "p.json",
          range(5).map((i) => ({ ...mendRow(i), portability: oneHop(i) })),
        ),
    ],
    ["KnowEdit", () => saveArray("d.json", range(5).map(wikiRecentRow))],
    ["MEND zsRE", () => saveLines("e.jsonl", range(5).map(kiltRow))],
    ["SLAG Wikidata5m", () => saveLines("f.jsonl", range(20).flatMap(slagLines))],
    ["SLAG zsRE", () => saveLines("g.jsonl", range(5).map(slagZsreRow))],
    ["SLAG FEVER", () => saveLines("h.jsonl", range(5).map(slagFeverRow))],
    ["LeapOfThought", () => saveLines("i.jsonl", leapOfThoughtRows(20, 0, "dev"))],
  ];
  test.each(forms)(
    "%s: the file that comes of it is read as it was written, and is always the same",
    async (_, make) => {
      const path = await make();
      const { records, counts } = await imported(path);
      expect(counts.records).toBe(records.length);
      expect(records.length).toBeGreaterThan(0);
      const back = await readBack(records);
      expect(back.map(({ group: _group, ...rest }) => rest)).toEqual(
        records.map(({ group: _group, ...rest }) => rest),
      );
      expect((await imported(path)).records).toEqual(records);
    },
  );

  test("an edit that comes again is left out and counted", async () => {
    const again = { ...mendRow(0), portability: oneHop(0) };
    const path = await saveArray("twice.json", [mendRow(0), mendRow(1), again]);
    const { records, counts } = await imported(path);
    expect(records.map(({ id }) => id)).toEqual(["twice-0", "twice-1"]);
    expect([...counts.leftOut]).toEqual([["the same edit as an earlier row", 1]]);
  });

  test("records that share a question or a subject are one group", async () => {
    const other = { ...mendRow(1), subject: "Town 0" };
    const { records } = await imported(await saveArray("groups.json", [mendRow(0), other, mendRow(2)]));
    const [a, b, c] = records.map(({ group }) => group);
    expect(a).toBe(b);
    expect(c).not.toBe(a);
  });

  test("rows of another form are all named with their lines, and nothing comes of the file", async () => {
    const path = await saveLines("bad.jsonl", [kiltRow(0), { ...kiltRow(1), alternatives: 3 }, { id: 2 }]);
    await expect(openImport(path)).rejects.toMatchObject({
      code: "DATA_INVALID",
      message: expect.stringMatching(/bad\.jsonl:2: `alternatives`[\s\S]*bad\.jsonl:3: `input`/),
    });
  });

  test("of no known form: what is known is listed", async () => {
    const path = await saveLines("own.jsonl", [{ question: "Who?", answer: "Ada" }]);
    await expect(openImport(path)).rejects.toMatchObject({
      code: "DATA_INVALID",
      message: expect.stringMatching(
        /easyedit: [\s\S]*mend: [\s\S]*slag: [\s\S]*lines with question, answer/,
      ),
    });
    const zsre = await saveLines("kilt.jsonl", [kiltRow(0)]);
    await expect(openImport(zsre, { format: "easyedit" })).rejects.toMatchObject({ code: "DATA_INVALID" });
    const { title } = await imported(zsre, { format: "mend" });
    expect(title).toContain("MEND");
  });

  test("empty, missing and endless files", async () => {
    await expect(openImport(await save("empty.json", " \n"))).rejects.toMatchObject({ code: "DATA_INVALID" });
    await expect(openImport(await save("none.json", "[]"))).rejects.toMatchObject({ code: "DATA_INVALID" });
    await expect(openImport(join(folder, "gone.json"))).rejects.toMatchObject({ code: "DATA_INVALID" });
    const endless = join(folder, "endless.jsonl");
    await writeEndlessLine(endless, `${JSON.stringify(kiltRow(0))}\n{"input": "`);
    await expect(openImport(endless)).rejects.toMatchObject({ code: "DATA_INVALID" });
  });

  test("a file whose rows all give nothing says why", async () => {
    const path = await saveArray("same.json", [
      { ...mendRow(0), alt: "" },
      { ...mendRow(1), alt: "founder 1" },
    ]);
    await expect(openImport(path)).rejects.toMatchObject({
      message: expect.stringMatching(/1 no alternative answer, 1 every alternative is the true answer/),
    });
  });
});
