import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadBackground } from "../../src/data/background.js";
import { loadLeapOfThought } from "../../src/data/datasets/leapofthought.js";
import { readLeapOfThoughtFile } from "../../src/data/datasets/leapofthought_files.js";
import { ruleSentence } from "../../src/data/datasets/leapofthought_formats.js";
import { evaluationEpisodes } from "../../src/data/evaluation_episodes.js";
import { loadDataset } from "../../src/data/registry.js";
import { datasetStatistics } from "../../src/data/statistics.js";
import { SPLITS } from "../../src/data/types.js";
import { bytesGained, writeEndlessLine } from "../support/bad_files.js";
import { type LeapRow, leapOfThoughtRows } from "../support/leapofthought_rows.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "seprog-leap-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function save(name: string, content: string | Buffer): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}
const lines = (rows: readonly unknown[]) => rows.map((row) => JSON.stringify(row)).join("\n");
const saveLines = (name: string, rows: readonly unknown[]) => save(name, lines(rows));

async function saveFolder(name: string, prefix: string, parts: Readonly<Record<string, readonly unknown[]>>) {
  const directory = join(folder, name);
  await mkdir(directory);
  for (const [part, rows] of Object.entries(parts))
    await writeFile(join(directory, `taxonomic_reasonings_training_mix_${prefix}${part}.jsonl`), lines(rows));
  return directory;
}

test.each([
  ["hypernym", "A animal is a thing."],
  ["/r/IsA", "A animal is a thing."],
  ["meronym", "A animal has a thing."],
  ["/r/PartOf", "A animal is part of thing."],
  ["/r/CapableOf", "A animal is capable of thing."],
  ["/r/Desires", "A animal desires thing."],
  ["/r/NotDesires", "A animal does not desire thing."],
  ["/r/Antonym", "A animal is not a thing."],
  ["/r/DistinctFrom", "A animal is not a thing."],
  ["part of", "A animal has a thing. (CN)"],
  ["/r/MadeOf", undefined],
])("the rule sentence of %s", (predicate, sentence) => {
  expect(ruleSentence({ subject: "animal", predicate, object: "thing" })).toBe(sentence);
});

describe("the format", () => {
  const official = {
    id: "a3b79cc8",
    phrase: "A wine is the opposite of  sound.",
    answer: 0,
    context: "A alcohol is not a sound. A wine is a alcohol.",
    metadata: {
      statement: { subject: "wine", predicate: "/r/Antonym", object: "sound", validity: "never true" },
      implicit_rule: { subject: "wine", predicate: "hypernym", object: "alcohol", validity: "always true" },
      property: { subject: "alcohol", predicate: "/r/Antonym", object: "sound", validity: "never true" },
      distractors: {
        property: [{ subject: "music", predicate: "/r/Antonym", object: "sound", validity: "always true" }],
      },
      split: "dev",
    },
  };

  test("gives a rule, a hypothesis and distractors with their truth", async () => {
    expect(await readLeapOfThoughtFile(await saveLines("one.jsonl", [official]))).toEqual([
      {
        id: "a3b79cc8",
        rule: "A wine is a alcohol.",
        hypothesis: "A wine is the opposite of sound.",
        answer: "False",
        subjects: ["wine"],
        property: "/r/Antonym sound",
        distractors: [{ x: "A music is the opposite of sound.", y_gold: ["True"], group: "music" }],
        origin: "dev",
      },
    ]);
  });

  test("rows without an implicit rule or a context give nothing", async () => {
    const { implicit_rule: _, ...stated } = official.metadata;
    const rows = [
      { ...official, id: "b", metadata: stated },
      { ...official, id: "c", context: " " },
    ];
    expect(await readLeapOfThoughtFile(await saveLines("none.jsonl", rows))).toEqual([]);
  });

  test("the same hypothesis in another context is one leap", async () => {
    const again = { ...official, context: "Something else." };
    expect(await readLeapOfThoughtFile(await saveLines("again.jsonl", [official, again]))).toHaveLength(1);
  });
});

describe("official files", () => {
  const generated = {
    train: leapOfThoughtRows(300, 1, "train"),
    dev: leapOfThoughtRows(210, 2, "dev", 90),
    test: leapOfThoughtRows(210, 3, "test", 150),
  };

  test("as generated: unique rules are split 60 / 10 / 30 %, nothing of train is asked elsewhere", async () => {
    const directory = await saveFolder("generated", "", generated);
    const { splits } = await loadDataset(`leapofthought:${directory}`);
    const rules = SPLITS.map((split) => new Set(splits[split].map(({ x_e }) => x_e)));
    const all = new Set(rules.flatMap((set) => [...set]));
    expect(rules.map((set) => set.size / all.size)).toEqual([
      expect.closeTo(0.6, 1),
      expect.closeTo(0.1, 1),
      expect.closeTo(0.3, 1),
    ]);
    expect(rules.reduce((sum, set) => sum + set.size, 0)).toBe(all.size);
    const taught = new Set(splits.train.flatMap(({ x_e, x_loc }) => [x_e, x_loc]));
    for (const { x_e, x_loc } of [...splits.validation, ...splits.test])
      expect([taught.has(x_e), taught.has(x_loc)]).toEqual([false, false]);
  });

  test("split by SLAG already: the files stand", async () => {
    const directory = await saveFolder("slag", "shuffled_", generated);
    const { splits } = await loadDataset(`leapofthought:${directory}`);
    const hasRule = ({ metadata }: LeapRow) => metadata.implicit_rule !== undefined;
    const ids = (rows: readonly LeapRow[]) => new Set(rows.filter(hasRule).map(({ id }) => id));
    expect(new Set(splits.train.map(({ id }) => id))).toEqual(ids(generated.train));
    // A hypothesis that an earlier file has is asked there alone.
    const earlier = ids([...generated.train, ...generated.dev]);
    expect(new Set(splits.test.map(({ id }) => id))).toEqual(
      new Set([...ids(generated.test)].filter((id) => !earlier.has(id))),
    );
  });

  test("hard pairs say the same of another subject, or are distractors", async () => {
    const directory = await saveFolder("hard", "shuffled_", generated);
    const { splits } = await loadDataset(`leapofthought:${directory}`);
    const answerOf = new Map(splits.train.map(({ x_loc, y_loc }) => [x_loc, y_loc[0]]));
    let hypotheses = 0;
    for (const { x_loc, group, hard_out } of splits.train) {
      const says = (sentence: string) => sentence.replace(/^A \S+ /, "");
      expect(hard_out.length).toBeLessThanOrEqual(3);
      for (const { x, y_gold, group: other } of hard_out) {
        expect(says(x)).toBe(says(x_loc));
        expect(other).not.toBe(group);
        if (!answerOf.has(x)) continue;
        hypotheses += 1;
        expect(y_gold).toEqual([answerOf.get(x)]);
      }
    }
    expect(hypotheses).toBeGreaterThan(100);
  });
});

describe("bad data", () => {
  const [first, second] = leapOfThoughtRows(2, 0, "train");

  test.each<[string, object, RegExp]>([
    ["an answer that is none", { answer: 2 }, /:2: `answer`: /],
    ["an empty answer", { answer: "" }, /:2: `answer`: /],
    ["an empty hypothesis", { phrase: " " }, /:2: `phrase`: expected a text but received only blanks/],
    ["a missing field", { context: undefined }, /:2: `context`: expected string/],
    [
      "a triple without object",
      { metadata: { implicit_rule: { subject: "a", predicate: "hypernym" } } },
      /:2: `metadata\.implicit_rule\.object`/,
    ],
    [
      "a predicate without a sentence",
      { metadata: { implicit_rule: { subject: "a", predicate: "/r/MadeOf", object: "b" } } },
      /:2: `metadata\.implicit_rule\.predicate`: expected one of hypernym, .* but received "\/r\/MadeOf"/,
    ],
    [
      "an id of another hypothesis",
      { id: first?.id },
      /:2: `id`: expected a new id but ".*" is also at line 1/,
    ],
  ])("%s is named with file:line", async (_, change, message) => {
    const path = await saveLines("bad.jsonl", [first, { ...second, ...change }]);
    const reading = readLeapOfThoughtFile(path);
    await expect(reading).rejects.toMatchObject({ code: "DATA_INVALID" });
    await expect(reading).rejects.toThrow(message);
    await expect(reading).rejects.toThrow(`${path}:2`);
  });

  test("bytes of another encoding", async () => {
    const content = Buffer.from(`${JSON.stringify(first)}\n{"phrase": "A caf\xe9 is a place."}`, "latin1");
    await expect(readLeapOfThoughtFile(await save("latin1.jsonl", content))).rejects.toThrow(
      /:2: expected UTF-8/,
    );
    const utf16 = Buffer.from(`\ufeff${JSON.stringify(first)}`, "utf16le");
    await expect(readLeapOfThoughtFile(await save("utf16.jsonl", utf16))).rejects.toThrow(
      /:1: expected UTF-8/,
    );
  });

  test("a byte order mark in front is no part of the first line", async () => {
    const path = await save("bom.jsonl", `\ufeff${lines([first, second])}`);
    expect(await readLeapOfThoughtFile(path)).toHaveLength(2);
  });

  test("a line of 1 GB is refused before it is held", async () => {
    const path = join(folder, "endless.jsonl");
    await writeEndlessLine(path, `${JSON.stringify(first)}\n{"phrase": "`);
    const gained = await bytesGained(async () => {
      const reading = readLeapOfThoughtFile(path);
      await expect(reading).rejects.toMatchObject({ code: "DATA_INVALID" });
      await expect(reading).rejects.toThrow(`received a longer one at ${path}:2`);
    });
    expect(gained).toBeLessThan(2 ** 28);
  });
});

describe("embedded", () => {
  test("rules and hypotheses of train are asked in no other split, nor those of validation in test", async () => {
    const { splits } = await loadLeapOfThought();
    const splitOf = new Map<string, string>();
    const leaks: string[] = [];
    for (const split of SPLITS)
      for (const { x_e, x_loc, group } of splits[split])
        for (const item of [x_e, x_loc, `group ${group}`]) {
          if ((splitOf.get(item) ?? split) !== split) leaks.push(item);
          splitOf.set(item, split);
        }
    expect(leaks).toEqual([]);
  });

  test("a rule is asked to be true and entails its hypothesis; as many hold as do not", async () => {
    const dataset = await loadLeapOfThought();
    for (const split of SPLITS) {
      const records = dataset.splits[split];
      for (const { x_e, x_loc, y_e_options, y_loc, entailed } of records) {
        expect(y_e_options).toEqual(["True"]);
        expect(entailed).toEqual([{ x: x_loc, y: y_loc[0] }]);
        expect(x_e).toMatch(/^A .* is a .*\.$/);
      }
      const share = records.filter(({ y_loc }) => y_loc[0] === "True").length / records.length;
      expect(Math.abs(share - 0.5)).toBeLessThan(0.05);
    }
    const { splits } = datasetStatistics(dataset);
    expect([splits.train.entailedPerRecord, splits.test.entailedPerRecord]).toEqual([1, 1]);
  });

  test("nothing says what the answer is: a property is as often true as false in train", async () => {
    const { splits } = await loadLeapOfThought();
    const counts = new Map<string, { [answer: string]: number }>();
    for (const { x_loc, y_loc } of splits.train) {
      const count = counts.get(x_loc.replace(/^A \S+ /, "")) ?? {};
      count[y_loc[0] ?? ""] = (count[y_loc[0] ?? ""] ?? 0) + 1;
      counts.set(x_loc.replace(/^A \S+ /, ""), count);
    }
    let guessed = 0;
    for (const count of counts.values()) guessed += Math.max(...Object.values(count));
    expect(guessed / splits.train.length).toBeLessThan(0.6);
  });

  test("episodes ask for the entailed answer, and leave other subjects alone", async () => {
    const { splits } = await loadLeapOfThought();
    for (const { edits, inScope, outScope } of evaluationEpisodes(splits.test, 64, { maxEdits: 512 })) {
      expect(inScope.filter(({ kind }) => kind === "entailed")).toHaveLength(64);
      const touched = new Set(edits.map(({ record }) => record.group));
      const groupOf = new Map(splits.test.map(({ x_loc, group }) => [x_loc, group]));
      for (const { x } of outScope) expect(touched.has(groupOf.get(x) ?? "")).toBe(false);
    }
  });
});

describe("background", () => {
  test("gives no rule and no hypothesis of any split away", async () => {
    const { splits } = await loadLeapOfThought();
    const sentences = new Set(
      SPLITS.flatMap((split) =>
        splits[split].flatMap(({ x_e, entailed }) => [x_e, ...entailed.map(({ x }) => x)]),
      ),
    );
    const background = await loadBackground("leapofthought");
    expect(background.filter(({ x }) => sentences.has(x))).toEqual([]);
  });

  test("says every statement once", async () => {
    const background = await loadBackground("leapofthought");
    expect(new Set(background.map(({ x }) => x)).size).toBe(background.length);
  });

  test.each(SPLITS)("states what follows of members in %s of their classes", async (split) => {
    const { splits } = await loadLeapOfThought();
    const answerOf = new Map((await loadBackground("leapofthought")).map(({ x, y }) => [x, y] as const));
    const told = splits[split].map(({ x_e, entailed }) => {
      const [, subject = "", name] = /^A (.+?) is a (.+)\.$/.exec(x_e) ?? [];
      const said = entailed[0]?.x.slice(`A ${subject}`.length);
      return answerOf.get(`A ${name}${said}`) === entailed[0]?.y;
    });
    expect(told.filter(Boolean).length / told.length).toBeGreaterThan(0.9);
  });

  test("a data set without one is CONFIG_INVALID", async () => {
    await expect(loadBackground("zsre")).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });
});
