import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EMBEDDED_DATA, readAsset } from "../../src/data/assets.js";
import { loadCounterfact } from "../../src/data/datasets/counterfact.js";
import { phrasings } from "../../src/data/episodes.js";
import { DATASETS, loadDataset } from "../../src/data/registry.js";
import { datasetStatistics } from "../../src/data/statistics.js";
import { sameAnswer } from "../../src/data/text.js";
import { COPY, type Dataset, type EditRecord, SPLITS } from "../../src/data/types.js";

const loaded = new Map<string, Promise<Dataset>>();

/** Each set is read once: unpacking the large one takes longer than most checks of it. */
function loadOnce(name: string): Promise<Dataset> {
  const dataset = loaded.get(name) ?? loadDataset(name);
  loaded.set(name, dataset);
  return dataset;
}

/** LeapOfThought: the rule that is added is true, what may change is what follows from it. */
const changesByConsequence = ({ entailed, x_e, x_loc, y_loc }: EditRecord): boolean =>
  entailed.length > 0 && entailed.every(({ x, y }) => x !== x_e && x === x_loc && y === y_loc[0]);

/** Wikipedia: what a passage is made to go on with, instead of its own words. */
const isContinuation = ({ in_scope, x_e, x_loc, y_loc }: EditRecord): boolean =>
  in_scope.length === 0 && y_loc.length === 1 && x_e === `${x_loc}${y_loc[0]}`;

/** FEVER: a training claim without paraphrases, whose edit is asked for in its own words. */
const isPlainClaim = ({ in_scope, split, y_e_options, y_loc }: EditRecord): boolean =>
  in_scope.length === 0 && split === "train" && y_e_options.every((label) => label !== y_loc[0]);

describe.each(Object.keys(DATASETS))("embedded data set %s", (name) => {
  test("no group, neighbour or input in two splits", async () => {
    const { overlaps } = datasetStatistics(await loadOnce(name));
    expect(overlaps).toHaveLength(3);
    for (const { sharedGroups, sharedNeighbourGroups, sharedInputs } of overlaps)
      expect([sharedGroups, sharedNeighbourGroups, sharedInputs]).toEqual([0, 0, 0]);
  });

  test("ids are unique and every record can be an edit that changes something", async () => {
    const { splits } = await loadOnce(name);
    const records = SPLITS.flatMap((split) => splits[split]);
    expect(new Set(records.map(({ id }) => id)).size).toBe(records.length);
    const useless = records.filter(
      ({ x_e, in_scope, y_loc, y_e_options }) =>
        y_loc.length === 0 ||
        !in_scope.some(({ x, y }) => y === COPY && x !== x_e) ||
        y_e_options.some((label) => y_loc.some((gold) => sameAnswer(gold, label))),
    );
    const exempt = [changesByConsequence, isContinuation, isPlainClaim];
    expect(useless.filter((record) => !exempt.some((test) => test(record)))).toEqual([]);
  });

  test("every split can be used", async () => {
    const { splits } = await loadOnce(name);
    for (const split of SPLITS) expect(splits[split].length).toBeGreaterThan(0);
    // Enough test groups for an episode of 128 edits and something out of scope.
    expect(new Set(splits.test.map(({ group }) => group)).size).toBeGreaterThan(128);
  });
});

test("every folder of embedded data has its licence", async () => {
  const checksums: object = JSON.parse(await readFile(join(EMBEDDED_DATA, "checksums.json"), "utf8"));
  const folders = new Set(Object.keys(checksums).map((name) => name.split("/")[0] ?? ""));
  expect(folders.size).toBeGreaterThan(0);
  for (const name of folders)
    expect(await readFile(join(EMBEDDED_DATA, name, "LICENSE"), "utf8")).toMatch(
      /MIT License|Creative Commons/,
    );
});

describe("CounterFact", () => {
  test("no wording asks for two answers", async () => {
    const { splits } = await loadOnce("counterfact");
    const answerOf = new Map<string, string | undefined>();
    const contradictions: string[] = [];
    for (const record of SPLITS.flatMap((split) => splits[split]))
      for (const x of phrasings(record)) {
        if (answerOf.has(x) && answerOf.get(x) !== record.y_loc[0]) contradictions.push(x);
        answerOf.set(x, record.y_loc[0]);
      }
    expect(contradictions).toEqual([]);
  });

  test("templates are filled: no placeholder of the subject, at most one of the answer", async () => {
    const { splits } = await loadOnce("counterfact");
    const texts = splits.test.flatMap(({ in_scope }) => in_scope.map(({ x }) => x));
    expect(texts.filter((x) => /\[X\]|\[Y\]| $|^ | {2}|_.*_/.test(x))).toEqual([]);
  });

  test("the manifest speaks of the files", async () => {
    const manifest = JSON.parse(await readAsset("counterfact/manifest.json"));
    const { splits } = await loadOnce("counterfact");
    for (const split of SPLITS) expect(manifest.splits[split]).toBe(splits[split].length);
  });
});

describe("damaged assets", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "seprog-data-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function damagedCopy(name: string, damage: (root: string) => Promise<void>): Promise<string> {
    const root = join(folder, name);
    await cp(EMBEDDED_DATA, root, { recursive: true });
    await damage(root);
    return root;
  }
  const facts = (root: string) => join(root, "counterfact/facts.jsonl.gz");

  test.each<[string, (root: string) => Promise<void>, RegExp]>([
    [
      "another content",
      async (root) => {
        const text = gunzipSync(await readFile(facts(root))).toString("utf8");
        await writeFile(facts(root), gzipSync(text.replace("French", "German")));
      },
      /expected SHA-256 [0-9a-f]{64} for .*facts\.jsonl\.gz but received/,
    ],
    [
      "a cut-off file",
      async (root) => writeFile(facts(root), (await readFile(facts(root))).subarray(0, 1000)),
      /expected a gzip file/,
    ],
    ["a missing file", (root) => rm(facts(root)), /expected embedded data at .*ENOENT/],
    ["a missing checksum", (root) => writeFile(join(root, "checksums.json"), "{}"), /expected a checksum of/],
    ["missing checksums", (root) => rm(join(root, "checksums.json")), /checksums\.json/],
    ["broken checksums", (root) => writeFile(join(root, "checksums.json"), "{"), /checksums\.json/],
  ])("%s is DATA_INVALID", async (name, damage, message) => {
    const root = await damagedCopy(name, damage);
    const loading = loadCounterfact({ root });
    await expect(loading).rejects.toMatchObject({ name: "SeprogError", code: "DATA_INVALID" });
    await expect(loading).rejects.toThrow(message);
  });
});

test("an unknown data set names those that exist", async () => {
  await expect(loadDataset("counterfacts")).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  await expect(loadDataset("counterfacts")).rejects.toThrow(/expected counterfact, .*zsre, NAME:FOLDER/);
  await expect(loadDataset("constructor")).rejects.toMatchObject({ code: "CONFIG_INVALID" });
});
