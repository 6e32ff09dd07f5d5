import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readAsset } from "../../src/data/assets.js";
import { loadWikidata5m } from "../../src/data/datasets/wikidata5m.js";
import { IdSet, readId } from "../../src/data/datasets/wikidata5m_entities.js";
import { filterWikidata5m, SLAG_RELATIONS } from "../../src/data/datasets/wikidata5m_raw.js";
import { readSlagFile, type SlagSplits, slagRecords } from "../../src/data/datasets/wikidata5m_slag.js";
import { phrasings } from "../../src/data/episodes.js";
import { evaluationEpisodes } from "../../src/data/evaluation_episodes.js";
import { loadDataset } from "../../src/data/registry.js";
import { sameAnswer } from "../../src/data/text.js";
import { COPY, type Dataset, SPLITS } from "../../src/data/types.js";
import { bytesGained, writeEndlessLine } from "../support/bad_files.js";
import { rawFiles, slagLines } from "../support/wikidata5m_rows.js";

describe("embedded set", () => {
  let loaded: Promise<Dataset> | undefined;
  const load = () => {
    loaded ??= loadWikidata5m();
    return loaded;
  };
  const all = async () => {
    const { splits } = await load();
    return SPLITS.flatMap((split) => splits[split]);
  };

  test("each record's hard out-of-scope is the other fact of its subject, with its gold", async () => {
    const { splits } = await load();
    for (const split of SPLITS) {
      const records = splits[split];
      expect(records.length % 2).toBe(0);
      for (const [i, record] of records.entries()) {
        const other = records[i ^ 1];
        expect(record.hard_out).toEqual([{ x: other?.x_loc, y_gold: other?.y_loc }]);
        expect(record.group).toBe(other?.group);
        expect(record.relation).not.toBe(other?.relation);
      }
    }
  });

  test("inputs are SLAG's, the blank at their end included", async () => {
    const records = await all();
    expect(records.filter(({ x_e }) => !/^\S.* has relation '[a-z ,]+' to $/.test(x_e))).toEqual([]);
  });

  test("no wording asks for two answers", async () => {
    const answerOf = new Map<string, string | undefined>();
    const contradictions: string[] = [];
    for (const record of await all())
      for (const x of phrasings(record)) {
        if (answerOf.has(x) && answerOf.get(x) !== record.y_loc[0]) contradictions.push(x);
        answerOf.set(x, record.y_loc[0]);
      }
    expect(contradictions).toEqual([]);
  });

  test("labels are answers of the relation in the split, none of them true", async () => {
    const { splits } = await load();
    for (const split of SPLITS) {
      const answers = new Map<string | undefined, Set<string | undefined>>();
      for (const { relation, y_loc } of splits[split])
        answers.set(relation, (answers.get(relation) ?? new Set()).add(y_loc[0]));
      for (const { relation, y_e_options, y_loc } of splits[split])
        for (const label of y_e_options) {
          expect(answers.get(relation)?.has(label)).toBe(true);
          expect(y_loc.some((gold) => sameAnswer(gold, label))).toBe(false);
        }
    }
  });

  test("wordings are filled and name the subject or an alias; texts are short", async () => {
    const records = await all();
    const texts = records.flatMap(({ in_scope }) => in_scope.map(({ x }) => x));
    expect(texts.filter((x) => /\[X\]|\s{2}|^\s/.test(x))).toEqual([]);
    expect(records.filter(({ in_scope }) => in_scope.length < 2)).toEqual([]);
    expect(records.filter(({ y_loc }) => (y_loc[0]?.length ?? 0) > 30)).toEqual([]);
  });

  test("the manifest speaks of the files", async () => {
    const manifest = JSON.parse(await readAsset("wikidata5m/manifest.json"));
    const { splits } = await load();
    const counts = new Map<string, number>();
    for (const { relation = "" } of await all()) counts.set(relation, (counts.get(relation) ?? 0) + 1);
    for (const split of SPLITS) expect(manifest.splits[split]).toBe(splits[split].length);
    expect(Object.fromEntries(counts)).toEqual(manifest.relations);
    expect(Math.min(...counts.values())).toBeGreaterThanOrEqual(60);
  });

  test("the licence names every source", async () => {
    const licence = await readFile(new URL("../../assets/data/wikidata5m/LICENSE", import.meta.url), "utf8");
    for (const source of ["HalluEditBench", "KnowEdit", "RippleEdits", "KGConv", "CC0"])
      expect(licence).toContain(source);
  });
});

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "seprog-wikidata5m-"));
});
afterAll(() => rm(folder, { recursive: true }));

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

async function save(name: string, content: string | Buffer): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}
const saveLines = (name: string, rows: readonly unknown[]) =>
  save(name, rows.map((row) => JSON.stringify(row)).join("\n"));

async function saveFolder(name: string, files: Readonly<Record<string, string | Buffer>>): Promise<string> {
  await mkdir(join(folder, name), { recursive: true });
  for (const [file, content] of Object.entries(files)) await save(join(name, file), content);
  return join(folder, name);
}

describe("SLAG's filtered files", () => {
  const splitsOf = (train: number, validation: number, test: number): SlagSplits => ({
    train: range(0, train).flatMap(slagLines),
    validation: range(train, train + validation).flatMap(slagLines),
    test: range(train + validation, train + validation + test).flatMap(slagLines),
  });

  test("one line: names of subject, relation and objects, lists inside lists flattened", async () => {
    const [first, second] = slagLines(5);
    const path = await saveLines("nested.jsonl", [
      { ...first, entity2: ["A", "B", ["C", "A"]], seen_in_training: 1 },
      { ...second, slag_pred: "x" },
    ]);
    const facts = await readSlagFile(path);
    expect(facts[0]).toEqual({ ...first, entity2: ["A", "B", "C"] });
    expect(facts[1]).toEqual(second);
  });

  test("a record: input with its blank, aliases as paraphrases, the adjacent line as hard out-of-scope", () => {
    const records = slagRecords(splitsOf(120, 40, 40));
    const record = records.find(({ x_e }) => x_e.startsWith("Person 11 "));
    expect(record).toMatchObject({
      x_e: "Person 11 has relation 'occupation' to ",
      y_loc: ["occupation 11", "occupation number 11"],
      hard_out: [
        {
          x: "Person 11 has relation 'place of death' to ",
          y_gold: ["place of death 11", "place of death number 11"],
        },
      ],
      relation: "occupation",
      split: "train",
    });
    expect(record?.in_scope).toHaveLength(4);
    for (const { x, y } of record?.in_scope ?? []) {
      expect(y).toBe(COPY);
      expect(x).toMatch(
        /^(P\. No\. 11|The 11th) has relation 'occupation( \(other name\)|, as a noun)' to $/,
      );
    }
    for (const label of record?.y_e_options ?? []) expect(label).toMatch(/^occupation \d+$/);
    expect(record?.y_e_options).toHaveLength(4);
  });

  test("labels may come from any relation, as SLAG draws them", () => {
    const records = slagRecords(splitsOf(120, 40, 40), { labelsFrom: "split" });
    const relations = new Set(
      records
        .filter(({ relation }) => relation === "spouse")
        .flatMap(({ y_e_options }) => y_e_options.map((label) => label.replace(/ \d+$/, ""))),
    );
    expect(relations.size).toBeGreaterThan(3);
  });

  test("one name of the subject only: another name of the relation", () => {
    const splits = splitsOf(120, 40, 40);
    const bare = {
      ...splits,
      test: splits.test.map((fact) => ({ ...fact, entity1: fact.entity1.slice(0, 1) })),
    };
    const records = slagRecords(bare).filter(({ split }) => split === "test");
    for (const { in_scope } of records) expect(in_scope).toHaveLength(2);
  });

  test("a subject of test is in no other split; the same files give the same records", async () => {
    const { train, validation, test: tested } = splitsOf(120, 40, 40);
    const overlapping = { train: [...train, ...tested.slice(0, 20)], validation, test: tested };
    const records = slagRecords(overlapping);
    expect(records.filter(({ split }) => split === "train")).toHaveLength(240);
    expect(records.filter(({ split }) => split === "test")).toHaveLength(80);
    expect(slagRecords(overlapping)).toEqual(records);
  });

  test("a folder of them is a data set for whole episodes", async () => {
    const { train, validation, test: tested } = splitsOf(120, 40, 40);
    const text = (rows: readonly unknown[]) => rows.map((row) => JSON.stringify(row)).join("\n");
    const directory = await saveFolder("slag", {
      "filtered_wikidata5m_transductive_train.jsonl": text(train),
      "filtered_wikidata5m_transductive_dev.jsonl": text(validation),
      "filtered_wikidata5m_transductive_test.jsonl": text(tested),
    });
    const { splits } = await loadDataset(`wikidata5m:${directory}`);
    expect(SPLITS.map((split) => splits[split].length)).toEqual([240, 80, 80]);
    const episodes = evaluationEpisodes(splits.test, 8, {
      outScope: { hardShare: 1, phrasing: "canonical" },
    });
    for (const { edits, outScope } of episodes) {
      const others = new Set(edits.flatMap(({ record }) => record.hard_out.map(({ x }) => x)));
      for (const { x } of outScope) expect(others.has(x)).toBe(true);
    }
  });

  test.each<[string, (rows: object[]) => unknown[], RegExp]>([
    [
      "a field that is missing",
      ([a, b]) => [{ ...a, entity2: undefined }, b],
      /:1: `entity2`: .*expected array/,
    ],
    [
      "a field of another kind",
      ([a, b]) => [a, { ...b, relation: "child" }],
      /:2: `relation`: expected array/,
    ],
    [
      "an empty answer",
      ([a, b]) => [a, { ...b, entity2: ["", [" "]] }],
      /:2: `entity2`: expected at least one name/,
    ],
    ["a fact twice", ([a, b, c, d]) => [a, b, c, d, a, b], /:5: `id`: .* is also at line 1/],
    [
      "two subjects in one pair",
      ([a, , c, d]) => [a, c, d],
      /:1: `entity1`: expected this line and the next/,
    ],
    ["half a pair", ([a]) => [a], /:1: .*the end of the file/],
    [
      "no JSON",
      ([a, b]) => [a, b, "{"].map((row) => (row === "{" ? undefined : row)),
      /:3: expected one JSON object/,
    ],
  ])("%s is told with file and line", async (name, change, message) => {
    const rows = change([...slagLines(0), ...slagLines(1)]);
    const text = rows.map((row) => (row === undefined ? "{" : JSON.stringify(row))).join("\n");
    const path = await save(`${name.replaceAll(" ", "-")}.jsonl`, text);
    const reading = readSlagFile(path);
    await expect(reading).rejects.toMatchObject({ code: "DATA_INVALID" });
    await expect(reading).rejects.toThrow(message);
    await expect(reading).rejects.toThrow(path);
  });

  test("bytes of another encoding are told with file and line", async () => {
    const [a, b] = slagLines(0).map((row) => JSON.stringify(row));
    const path = await save(
      "latin1.jsonl",
      Buffer.from(`${a}\n${b?.replace("Person", "Pérson")}\n`, "latin1"),
    );
    await expect(readSlagFile(path)).rejects.toThrow(`${path}:2: expected UTF-8 text`);
  });
});

describe("raw files", () => {
  const SIZES = { train: 200, validation: 60, test: 60 };
  const paths = (directory: string) => ({
    train: join(directory, "wikidata5m_transductive_train.txt"),
    validation: join(directory, "wikidata5m_transductive_valid.txt"),
    test: join(directory, "wikidata5m_transductive_test.txt"),
    entities: join(directory, "wikidata5m_entity.txt"),
    relations: join(directory, "wikidata5m_relation.txt"),
  });

  test("give SLAG's splits: two kept relations a subject, sizes, shares, no subject in two splits", async () => {
    const directory = await saveFolder("raw", rawFiles(400));
    const splits = await filterWikidata5m(paths(directory), SIZES);
    const subjects = SPLITS.flatMap((split) => splits[split].map(({ entity1 }) => entity1[0]));
    expect(new Set(subjects).size * 2).toBe(subjects.length);
    for (const split of SPLITS) {
      expect(splits[split].length).toBeGreaterThan(0.8 * SIZES[split]);
      expect(splits[split].length).toBeLessThanOrEqual(SIZES[split]);
      const counts = new Map<string, number>();
      for (const [i, { entity1, relation }] of splits[split].entries()) {
        const other = splits[split][i ^ 1];
        expect(other?.entity1).toEqual(entity1);
        expect(other?.relation).not.toEqual(relation);
        counts.set(relation[0] ?? "", (counts.get(relation[0] ?? "") ?? 0) + 1);
      }
      for (const [relation, count] of counts) {
        expect(SLAG_RELATIONS).toContain(relation);
        expect(count).toBeLessThanOrEqual(Math.ceil((split === "train" ? 0.12 : 0.11) * SIZES[split]));
      }
    }
    expect(await filterWikidata5m(paths(directory), SIZES)).toEqual(splits);
  });

  test("the facts are those of the triples, with every name", async () => {
    const directory = await saveFolder("facts", rawFiles(400));
    const { test: facts } = await filterWikidata5m(paths(directory), SIZES);
    const known = new Set(
      range(0, 400)
        .flatMap(slagLines)
        .map((fact) => JSON.stringify(fact)),
    );
    for (const { entity1, relation, entity2 } of facts)
      expect(known.has(JSON.stringify({ entity1, relation, entity2 }))).toBe(true);
  });

  test("several objects of one fact are one answer list; unnamed entities are left out", async () => {
    const files = rawFiles(400);
    const directory = await saveFolder("many", {
      ...files,
      "wikidata5m_transductive_valid.txt":
        `${files["wikidata5m_transductive_valid.txt"]}` +
        range(0, 400)
          .map((i) => `Q${5000 + 7 * i}\tP2\tQ200\nQ${5000 + 7 * i}\tP2\tQ99999999\n`)
          .join(""),
    });
    const splits = await filterWikidata5m(paths(directory), SIZES);
    const occupations = SPLITS.flatMap((split) => splits[split]).filter(
      ({ relation }) => relation[0] === "occupation",
    );
    expect(occupations.length).toBeGreaterThan(20);
    for (const { entity2 } of occupations) expect(entity2).toContain("occupation 0");
    expect(occupations.some(({ entity2 }) => entity2.length === 4)).toBe(true);
  });

  test.each<[string, string, string, string]>([
    [
      "a triple with two fields",
      "wikidata5m_transductive_test.txt",
      "Q1\tP1",
      "expected an entity, a property",
    ],
    [
      "a triple of names",
      "wikidata5m_transductive_train.txt",
      "Bonn\tP1\tQ2",
      "expected an entity, a property",
    ],
    [
      "an id beyond reason",
      "wikidata5m_transductive_train.txt",
      "Q1\tP1\tQ99999999999",
      "expected an entity",
    ],
    ["an entity without id", "wikidata5m_entity.txt", "Bonn", "expected an id such as Q42"],
    ["an entity twice", "wikidata5m_entity.txt", "Q101\tagain", "expected a new id but Q101 is also above"],
    ["a relation without id", "wikidata5m_relation.txt", "child", "expected an id such as P19"],
    [
      "a relation twice",
      "wikidata5m_relation.txt",
      "P3\tspouse",
      "expected a new id but P3 is also at line 4",
    ],
  ])("%s is told with file and line", async (name, file, line, message) => {
    const files = rawFiles(40);
    const directory = await saveFolder(name.replaceAll(" ", "-"), {
      ...files,
      [file]: `${files[file]}${line}\n`,
    });
    const lineNumber = `${files[file]}`.split("\n").length;
    const reading = filterWikidata5m(paths(directory), SIZES);
    await expect(reading).rejects.toMatchObject({ code: "DATA_INVALID" });
    await expect(reading).rejects.toThrow(`${join(directory, file)}:${lineNumber}: ${message}`);
  });

  test("bytes of another encoding are told with file and line", async () => {
    const files = rawFiles(40);
    const directory = await saveFolder("latin1", {
      ...files,
      "wikidata5m_entity.txt": Buffer.from(`Q7\tKöln\n${files["wikidata5m_entity.txt"]}`, "latin1"),
    });
    await expect(filterWikidata5m(paths(directory), SIZES)).rejects.toThrow(/entity\.txt:1: expected UTF-8/);
  });

  test("files without two of the relations are told which ones there should be", async () => {
    const directory = await saveFolder("none", {
      ...rawFiles(40),
      "wikidata5m_relation.txt": "P0\tcapital\n",
    });
    await expect(filterWikidata5m(paths(directory), SIZES)).rejects.toThrow(
      /at least two of the relations place of birth, /,
    );
  });
});

describe("a line of 1 GiB is refused without being held", () => {
  const refused = async (path: string, reading: () => Promise<unknown>) => {
    const gained = await bytesGained(async () => {
      const refusal = reading();
      await expect(refusal).rejects.toMatchObject({ code: "DATA_INVALID" });
      await expect(refusal).rejects.toThrow(`received a longer one at ${path}:2`);
    });
    expect(gained).toBeLessThan(2 ** 28);
  };

  test("in SLAG's files", async () => {
    const path = join(folder, "endless.jsonl");
    await writeEndlessLine(path, `${JSON.stringify(slagLines(0)[0])}\n{"entity1": ["`);
    await refused(path, () => readSlagFile(path));
  });

  test.each(["entity", "relation", "transductive_train"])("in wikidata5m_%s.txt", async (name) => {
    const directory = await saveFolder(`endless-${name}`, rawFiles(40));
    const path = join(directory, `wikidata5m_${name}.txt`);
    await writeEndlessLine(
      path,
      name === "transductive_train" ? "Q1\tP1\tQ2\nQ" : `${name === "entity" ? "Q" : "P"}1\tx\nQ`,
    );
    await refused(path, () => loadDataset(`wikidata5m:${directory}`));
  });
});

describe("a set of ids", () => {
  test("ranks are the places among the sorted ids", () => {
    const ids = [0, 1, 31, 32, 33, 63, 64, 1000, 65_535, 65_536, 123_456_789];
    const set = new IdSet();
    for (const id of ids.toReversed()) expect(set.add(id)).toBe(true);
    expect(set.add(33)).toBe(false);
    expect(set.size).toBe(ids.length);
    expect(ids.map((id) => set.rank(id))).toEqual(ids.map((_, i) => i));
    expect([2, 34, 999_999_999, -1].map((id) => set.rank(id))).toEqual([-1, -1, -1, -1]);
  });

  test("ids are a letter and up to nine digits", () => {
    const read = (text: string) => readId(Buffer.from(text), 0x51, 0, text.length);
    expect(["Q0", "Q42", "Q999999999"].map(read)).toEqual([0, 42, 999_999_999]);
    expect(["Q", "P42", "Q4x", "Q-1", "Q1234567890", "42", ""].map(read)).toEqual(Array(7).fill(-1));
  });
});
