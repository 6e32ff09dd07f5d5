import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ContentHashes, type EpisodesOrigin, episodesHash } from "../../src/bench/identity.js";
import { runEpisodes } from "../../src/bench/run_episodes.js";
import { evaluationSchema } from "../../src/config/evaluation.js";
import { loadSuite } from "../../src/config/load.js";
import { textSchema } from "../../src/config/suite.js";
import { episodesChecksum, readEpisodeFile, writeEpisodeFile } from "../../src/data/episode_file.js";
import { drawOutScope, phrasings } from "../../src/data/episodes.js";
import { episodeCount, evaluationEpisodes } from "../../src/data/evaluation_episodes.js";
import { LabelPool, withBasePredictions } from "../../src/data/labels.js";
import { Rng } from "../../src/data/random.js";
import { RecordStream } from "../../src/data/record_stream.js";
import { loadDataset } from "../../src/data/registry.js";
import { sameAnswer } from "../../src/data/text.js";
import { STANDARD_K, TrainingSampler } from "../../src/data/training_sampler.js";
import { COPY, type Dataset, type EditRecord, type Episode } from "../../src/data/types.js";
import { makeRecord, makeRecords } from "../support/records.js";

/** What docs/data.md asks of every episode; an empty list if it is met. */
function faults({ edits, inScope, outScope }: Episode, K: number): string[] {
  const groups = new Set(edits.map(({ record }) => record.group));
  const ownTexts = new Set(
    edits.flatMap(({ record, x_e }) => [x_e, record.x_e, ...record.in_scope.map(({ x }) => x)]),
  );
  return [
    ...(edits.length === K ? [] : [`${edits.length} edits`]),
    ...(groups.size === K ? [] : ["two edits of one group"]),
    ...(outScope.length === K ? [] : [`${outScope.length} out-of-scope pairs`]),
    ...outScope.filter(({ x }) => ownTexts.has(x)).map(({ x }) => `${x} is out of scope and an edit's`),
    ...edits
      .filter(({ record, y_e }) => record.y_loc.some((gold) => sameAnswer(gold, y_e)))
      .map(({ x_e }) => `${x_e} changes nothing`),
    ...inScope
      .filter(({ editIndex, y }) => edits[editIndex]?.y_e !== y)
      .map(({ x }) => `${x} has another label than its edit`),
  ];
}

const ALL_ROLES = ["edit", "hard", "noisy", "random", "rephrase", "self"];

const allTexts = (record: EditRecord): string[] => [
  record.x_e,
  ...phrasings(record),
  ...record.in_scope_noisy.map(({ x }) => x),
  ...record.hard_out.map(({ x }) => x),
];

const loaded = new Map<string, Promise<Dataset>>();

/** Each set is read once: unpacking the large one takes longer than most checks of it. */
function loadOnce(name: string): Promise<Dataset> {
  const dataset = loaded.get(name) ?? loadDataset(name);
  loaded.set(name, dataset);
  return dataset;
}

describe("RecordStream", () => {
  test("one pass gives every record once", () => {
    const stream = new RecordStream(makeRecords(60), Rng.fromSeed(1));
    const ids = Array.from({ length: 6 }, () => stream.take(10).map(({ id }) => id)).flat();
    expect(new Set(ids).size).toBe(60);
  });

  test("records whose group is taken wait, none is lost", () => {
    const records = makeRecords(40, (i) => ({ group: `g${i % 8}` }));
    const stream = new RecordStream(records, Rng.fromSeed(2));
    const seen = new Map<string, number>();
    for (let draw = 0; draw < 100; draw++) {
      const taken = stream.take(5);
      expect(new Set(taken.map(({ group }) => group)).size).toBe(5);
      for (const { id } of taken) seen.set(id, (seen.get(id) ?? 0) + 1);
    }
    expect(seen.size).toBe(40);
    // 500 draws over 40 records: 12.5 each if fair.
    expect(Math.min(...seen.values())).toBeGreaterThanOrEqual(8);
  });

  test("an unbalanced group does not pile up", () => {
    const records = makeRecords(50, (i) => ({ group: i < 47 ? "big" : `g${i}` }));
    const stream = new RecordStream(records, Rng.fromSeed(3));
    for (let draw = 0; draw < 500; draw++) stream.take(4);
    expect(stream.state().pending.length).toBeLessThan(50);
  });

  test("more edits than groups is DATA_INVALID", () => {
    const stream = new RecordStream(
      makeRecords(20, (i) => ({ group: `g${i % 5}` })),
      Rng.fromSeed(0),
    );
    expect(() => stream.take(6)).toThrow(/expected at least 6 records of different groups .* received 5/);
    expect(stream.take(5)).toHaveLength(5);
  });
});

describe("TrainingSampler", () => {
  const records = makeRecords(400, (i) => ({ relation: `P${i % 3}`, group: `g${Math.floor(i / 2)}` }));

  test("every episode keeps the rules", () => {
    const sampler = new TrainingSampler(records, { seed: 5 });
    for (let step = 0; step < 60; step++) {
      const { K, episodes } = sampler.next();
      expect(episodes).toHaveLength(Math.max(1, Math.round(64 / K)));
      for (const episode of episodes) {
        expect(faults(episode, K)).toEqual([]);
        expect(episode.inScope.map(({ editIndex }) => editIndex)).toEqual([...episode.edits.keys()]);
      }
    }
  });

  test("mixed K draws all of the standard ones", () => {
    const sampler = new TrainingSampler(records, { seed: 1 });
    const drawn = new Set(Array.from({ length: 80 }, () => sampler.next().K));
    expect([...drawn].sort((a, b) => a - b)).toEqual(STANDARD_K);
  });

  test("the seed decides", () => {
    const steps = (seed: number) => {
      const sampler = new TrainingSampler(records, { seed });
      return JSON.stringify(Array.from({ length: 5 }, () => sampler.next()));
    };
    expect(steps(9)).toBe(steps(9));
    expect(steps(9)).not.toBe(steps(10));
  });

  test.each([0, 1, 17])("after %i steps a saved state continues exactly, through JSON", (stepsBefore) => {
    const options = { seed: 4, trainK: "mixed" as const };
    const whole = new TrainingSampler(records, options);
    for (let i = 0; i < stepsBefore; i++) whole.next();
    const saved = JSON.parse(JSON.stringify(whole.state()));
    const resumed = new TrainingSampler(records, { ...options, seed: 99 });
    resumed.restore(saved);
    const rest = (sampler: TrainingSampler) =>
      JSON.stringify(Array.from({ length: 12 }, () => sampler.next()));
    expect(rest(resumed)).toBe(rest(whole));
    expect(resumed.state()).toEqual(whole.state());
  });

  test("a state of other data is refused", () => {
    const sampler = new TrainingSampler(records, { trainK: 4 });
    sampler.next();
    const small = new TrainingSampler(records.slice(0, 20), { trainK: 4 });
    expect(() => small.restore(sampler.state())).toThrow(expect.objectContaining({ code: "DATA_INVALID" }));
  });

  test("K larger than the data is DATA_INVALID", () => {
    const make = () => new TrainingSampler(makeRecords(64), { trainK: 64 });
    expect(make).toThrow(expect.objectContaining({ code: "DATA_INVALID" }));
    expect(make).toThrow(/expected more than 64 records of different groups for `trainK` but received 64/);
  });

  test("labels of the relation, of no other, and never the truth", () => {
    const { episodes } = new TrainingSampler(records, { trainK: 64, labels: "relation" }).next();
    const relationOf = new Map(records.map(({ y_loc, relation }) => [y_loc[0], relation]));
    for (const { record, y_e } of episodes[0]?.edits ?? []) expect(relationOf.get(y_e)).toBe(record.relation);
  });

  test("shares of own inputs, noisy rephrases and hard pairs are as asked for", () => {
    const sampler = new TrainingSampler(records, {
      trainK: 16,
      selfShare: 0.3,
      noisyShare: 0.2,
      outScope: { hardShare: 0.25, phrasing: "any" },
    });
    const episodes = Array.from({ length: 100 }, () => sampler.next().episodes).flat();
    const share = (kinds: readonly string[], kind: string) =>
      kinds.filter((other) => other === kind).length / kinds.length;
    const inScope = episodes.flatMap((episode) => episode.inScope.map(({ kind }) => kind));
    const outScope = episodes.flatMap((episode) => episode.outScope.map(({ kind }) => kind));
    expect(share(inScope, "self")).toBeCloseTo(0.3, 1);
    expect(share(inScope, "noisy")).toBeCloseTo(0.2, 1);
    expect(share(outScope, "hard")).toBeCloseTo(0.25, 1);
  });

  test("a rephrase is never the edit's own input", () => {
    const sampler = new TrainingSampler(records, { trainK: 64, selfShare: 0, editPhrasing: "any" });
    const { episodes } = sampler.next();
    const own = episodes.flatMap(({ edits, inScope }) =>
      inScope.filter(({ x, editIndex }) => x === edits[editIndex]?.x_e),
    );
    expect(own).toEqual([]);
  });
});

describe.each(["counterfact", "zsre"])("training on %s", (name) => {
  test("meets no test subject and no test question, in any role", async () => {
    const { train, test } = (await loadOnce(name)).splits;
    const testGroups = new Set([
      ...test.map(({ group }) => group),
      ...test.flatMap(({ hard_out }) => hard_out.flatMap(({ group }) => group ?? [])),
    ]);
    const testTexts = new Set(test.flatMap(allTexts));
    const groupsOfText = new Map<string, Set<string>>();
    const tell = (x: string, group: string) =>
      groupsOfText.set(x, (groupsOfText.get(x) ?? new Set<string>()).add(group));
    for (const record of train) {
      for (const x of [record.x_e, ...phrasings(record)]) tell(x, record.group);
      for (const { x } of record.in_scope_noisy) tell(x, record.group);
      for (const { x, group = record.group } of record.hard_out) tell(x, group);
    }

    const sampler = new TrainingSampler(train, { noisyShare: 0.2 });
    const textsOf = new Map<string, Set<string>>();
    const meet = (role: string, x: string) =>
      textsOf.set(role, (textsOf.get(role) ?? new Set<string>()).add(x));
    const edited = new Set<string>();
    while (edited.size < train.length) {
      for (const { edits, inScope, outScope } of sampler.next().episodes) {
        for (const { record, x_e } of edits) {
          edited.add(record.id);
          meet("edit", x_e);
        }
        for (const { kind, x } of inScope) meet(kind, x);
        for (const { kind, x } of outScope) meet(kind, x);
      }
    }

    const roles = name === "zsre" ? ["edit", "random", "rephrase", "self"] : ALL_ROLES;
    expect([...textsOf.keys()].sort()).toEqual(roles);
    for (const texts of textsOf.values()) {
      const drawn = [...texts];
      expect(drawn.filter((x) => testTexts.has(x))).toEqual([]);
      // Every text is one whose subject is known, and none of its subjects is tested.
      expect(drawn.filter((x) => !groupsOfText.has(x))).toEqual([]);
      expect(drawn.filter((x) => [...(groupsOfText.get(x) ?? [])].some((g) => testGroups.has(g)))).toEqual(
        [],
      );
    }
  });
});

describe("labels", () => {
  test("a base prediction excludes labels, and records that no label would change", () => {
    const records = [
      makeRecord("a", { y_e_options: ["red", "blue"] }),
      makeRecord("b", { y_e_options: ["red"] }),
    ];
    const predicted = withBasePredictions(
      records,
      new Map([
        ["a", "RED "],
        ["b", "Red"],
      ]),
    );
    expect(predicted.map(({ id, base_pred }) => [id, base_pred])).toEqual([["a", "RED "]]);
    const episodes = evaluationEpisodes(predicted, 1, { minEpisodes: 5 }, makeRecords(3));
    expect(episodes.every(({ edits }) => edits[0]?.y_e === "blue")).toBe(true);
  });

  test("a relation with one answer falls back to the record's own label", () => {
    const records = makeRecords(4, () => ({ relation: "P", y_loc: ["same"], y_e_options: ["own"] }));
    const pool = new LabelPool(records);
    expect(pool.draw(records[0] ?? makeRecord("0"), Rng.fromSeed(0))).toBe("own");
  });
});

describe("out of scope", () => {
  test("neighbours that belong to another edit's group are not out of scope", () => {
    const a = makeRecord("a", { hard_out: [{ x: "about b", y_gold: ["g"], group: "group-b" }] });
    const b = makeRecord("b", { hard_out: [{ x: "about c", y_gold: ["g"], group: "group-c" }] });
    const edits = [a, b].map((record) => ({ record, x_e: record.x_e, y_e: "new" }));
    const options = { hardShare: 1, phrasing: "canonical" } as const;
    const pairs = drawOutScope(edits, makeRecords(5), options, Rng.fromSeed(0));
    expect(pairs.filter(({ kind }) => kind === "hard").map(({ x }) => x)).toEqual(["about c"]);
    expect(pairs).toHaveLength(2);
  });

  test("a pool of edits only is DATA_INVALID", () => {
    const records = makeRecords(3);
    const edits = records.map((record) => ({ record, x_e: record.x_e, y_e: "new" }));
    const options = { hardShare: 0, phrasing: "any" } as const;
    expect(() => drawOutScope(edits, records, options, Rng.fromSeed(0))).toThrow(
      expect.objectContaining({ code: "DATA_INVALID" }),
    );
  });

  test("only rephrases that copy the label ask for the record's own fact", () => {
    const record = makeRecord("a", {
      in_scope: [
        { x: "copy", y: COPY },
        { x: "entails", y: "yes" },
      ],
    });
    expect(phrasings(record)).toEqual(["question a", "copy"]);
    expect(phrasings({ ...record, x_loc: "another question" })).toEqual(["another question"]);
  });
});

describe("evaluation episodes", () => {
  test.each([
    [2000, 1, 2000],
    [5000, 1, 2000],
    [3121, 10, 200],
    [1488, 10, 148],
    [3121, 64, 32],
    [3121, 128, 16],
    [1488, 128, 11],
    [200, 128, 8],
  ])("of %i records at K = %i there are %i", (records, K, count) => {
    expect(episodeCount(records, K)).toBe(count);
  });

  test.each([
    ["counterfact", [500, 125, 50, 25, 8, 8]],
    ["zsre", [500, 125, 50, 25, 8, 8]],
  ])("the bundled suite asks enough of %s at every K", async (name, counts) => {
    const entry = loadSuite("mini").datasets.find((dataset) => dataset.name === name);
    if (entry === undefined) throw new Error(`expected ${name} in the suite`);
    const { evaluation, k } = entry;
    const { splits } = await loadOnce(name);
    expect(k.map((K) => episodeCount(splits.test.length, K, evaluation))).toEqual(counts);
  });

  test("are the same every time, and others with another seed", () => {
    const records = makeRecords(100);
    const of = (seed: number) => JSON.stringify(evaluationEpisodes(records, 10, { seed }));
    expect(of(0)).toBe(of(0));
    expect(of(0)).not.toBe(of(1));
  });

  test("score every edit on itself, a clean rephrase and the noisy one", () => {
    const [episode] = evaluationEpisodes(makeRecords(30), 4, { rephrasesPerEdit: 2 });
    const kinds = episode?.inScope.filter(({ editIndex }) => editIndex === 1).map(({ kind }) => kind);
    expect(kinds).toEqual(["self", "rephrase", "rephrase", "noisy"]);
  });

  test.each([0, -1, 1.5])("K = %d is CONFIG_INVALID", (K) => {
    expect(() => evaluationEpisodes(makeRecords(5), K)).toThrow(
      expect.objectContaining({ code: "CONFIG_INVALID" }),
    );
  });

  test("K larger than the data is DATA_INVALID", () => {
    expect(() => evaluationEpisodes(makeRecords(5), 6)).toThrow(
      expect.objectContaining({ code: "DATA_INVALID" }),
    );
  });

  test.each(["counterfact", "zsre"])("of %s keep the rules at every standard K", async (name) => {
    const { splits } = await loadOnce(name);
    const trainGroups = new Set(splits.train.map(({ group }) => group));
    for (const K of STANDARD_K) {
      const episodes = evaluationEpisodes(splits.test, K);
      expect(episodes.flatMap((episode) => faults(episode, K))).toEqual([]);
      expect(
        episodes.flatMap(({ edits }) => edits.filter(({ record }) => trainGroups.has(record.group))),
      ).toEqual([]);
    }
  });

  /** Pinned: figures of different versions are comparable only while these stand. */
  test.each([
    ["counterfact", 10, "621bad81378959d2"],
    ["zsre", 10, "a6d23167601e4dca"],
  ])("of %s at K = %i are the published ones", async (name, K, digest) => {
    const { splits } = await loadOnce(name);
    const hash = createHash("sha256");
    for (const { edits, inScope, outScope } of evaluationEpisodes(splits.test, K))
      hash.update(JSON.stringify([edits.map(({ record, y_e }) => [record.id, y_e]), inScope, outScope]));
    expect(hash.digest("hex").slice(0, 16)).toBe(digest);
  });
});

describe("episode files", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "seprog-episodes-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test("come back as they were, and nothing else is left", async () => {
    const records = makeRecords(50);
    const episodes = evaluationEpisodes(records, 4);
    const path = join(folder, "new/folder/k4.jsonl");
    await writeEpisodeFile(path, "one", episodes);
    expect(await readEpisodeFile(path, "one", records)).toEqual(episodes);
    expect(await readdir(join(folder, "new/folder"))).toEqual(["k4.jsonl"]);
  });

  test("that are missing, or were drawn from something else, are not read", async () => {
    const records = makeRecords(20);
    const path = join(folder, "identity.jsonl");
    expect(await readEpisodeFile(path, "one", records)).toBeUndefined();
    await writeEpisodeFile(path, "one", evaluationEpisodes(records, 2));
    expect(await readEpisodeFile(path, "two", records)).toBeUndefined();
  });

  test("of other data are refused with file:line", async () => {
    const path = join(folder, "other.jsonl");
    await writeEpisodeFile(path, "one", evaluationEpisodes(makeRecords(20), 2));
    await expect(readEpisodeFile(path, "one", makeRecords(3))).rejects.toThrow(
      /other\.jsonl:\d+: `edits`: expected a record of the data set/,
    );
  });

  test("name the SHA-256 of the lines below the first", async () => {
    const episodes = evaluationEpisodes(makeRecords(20), 2);
    const path = join(folder, "sum.jsonl");
    await writeEpisodeFile(path, "one", episodes);
    const text = await readFile(path, "utf8");
    const below = text.slice(text.indexOf("\n") + 1);
    const sha256 = createHash("sha256").update(below).digest("hex");
    expect(JSON.parse(text.slice(0, text.indexOf("\n")))).toEqual({
      schemaVersion: 1,
      identity: "one",
      sha256,
    });
    expect(episodesChecksum(episodes)).toBe(sha256);
  });

  test.each<[string, (lines: readonly string[]) => readonly string[]]>([
    ["fewer lines", (lines) => lines.slice(0, -1)],
    ["no episode", (lines) => lines.slice(0, 1)],
    ["another order", ([header = "", first = "", ...rest]) => [header, ...rest, first]],
    ["another label", (lines) => lines.map((line) => line.replaceAll("new 7", "new 8"))],
  ])("with %s are refused", async (_, change) => {
    const records = makeRecords(20);
    const path = join(folder, "changed.jsonl");
    await writeEpisodeFile(path, "one", evaluationEpisodes(records, 2));
    const lines = (await readFile(path, "utf8")).trimEnd().split("\n");
    await writeFile(path, `${change(lines).join("\n")}\n`);
    const reading = readEpisodeFile(path, "one", records);
    await expect(reading).rejects.toMatchObject({ code: "DATA_INVALID" });
    await expect(reading).rejects.toThrow(/expected the episodes that were written to .*changed\.jsonl/);
  });

  const header = JSON.stringify({ schemaVersion: 1, identity: "one", sha256: "" });
  test.each([
    ["", /expected the episodes/],
    ["{}", /:1: `schemaVersion`/],
    [`${header}\n{}`, /:2: `edits`/],
    [
      `${header}\n{"edits":[],"inScope":[{"x":"a","y":"b","editIndex":0,"kind":"self"}],"outScope":[]}`,
      /:2: `inScope\.editIndex`/,
    ],
  ])("%j is refused", async (content, message) => {
    const path = join(folder, "bad.jsonl");
    await writeFile(path, content);
    await expect(readEpisodeFile(path, "one", [])).rejects.toThrow(message);
    await expect(readEpisodeFile(path, "one", [])).rejects.toMatchObject({ code: "DATA_INVALID" });
  });
});

describe("a run's episodes", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "seprog-run-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test("are drawn once and read by every later cell, until what they are drawn from differs", async () => {
    const records = makeRecords(40);
    let draws = 0;
    const episodesFor = (identity: string) =>
      runEpisodes({
        path: join(folder, "data-K4.jsonl"),
        identity,
        records,
        draw: async () => evaluationEpisodes(records, 4, { seed: draws++ }),
      });
    const first = await episodesFor("one");
    expect(await episodesFor("one")).toEqual(first);
    expect(draws).toBe(1);
    expect(await episodesFor("two")).not.toEqual(first);
    expect(draws).toBe(2);
  });

  test("depend on data, K, base model and how much is asked, on nothing else of the evaluation", async () => {
    const origin = {
      dataset: "zsre",
      wholeFile: false,
      K: 4,
      evaluation: evaluationSchema.parse({}),
      model: { checksum: "0" },
      text: textSchema.parse({}),
    };
    const hash = (change: Partial<EpisodesOrigin> = {}) =>
      episodesHash({ ...origin, ...change }, new ContentHashes());
    const base = await hash();
    const evaluation = (change: object) => ({ evaluation: evaluationSchema.parse(change) });
    expect(await hash(evaluation({ batchSize: 7, gate: "always", timing: { repetitions: 3 } }))).toBe(base);
    const others = await Promise.all([
      hash({ dataset: "counterfact" }),
      hash({ K: 5 }),
      hash({ model: { checksum: "1" } }),
      hash({ wholeFile: true }),
      hash(evaluation({ maxEdits: 7 })),
      hash(evaluation({ split: "validation" })),
      hash(evaluation({ outScope: { hardShare: 0 } })),
      // What the base says to an edit decides whether it asks for a change.
      hash(evaluation({ maxNewTokens: 10 })),
    ]);
    expect(new Set([base, ...others]).size).toBe(9);
  });
});
