import { join } from "node:path";
import {
  leapRecords,
  readLeapOfThoughtFile,
  uniqueLeaps,
} from "../../dist/data/datasets/leapofthought_files.js";
import { mergeGroups } from "../../dist/data/groups.js";
import { splitByGroup } from "../../dist/data/splits.js";
import { backgroundStatements } from "./leapofthought_background.mjs";
import { regenerateLeaps } from "./leapofthought_kb.mjs";
import { describeSources, toJsonLines, writeAsset } from "./write_assets.mjs";

const file = (part) => `leapofthought/taxonomic_reasonings_training_mix_${part}.jsonl`;
const DEV = file("dev");
const TEST = file("test");
const SHUFFLED_DEV = file("shuffled_dev");
const KNOWLEDGE = "leapofthought/teachai_kb.csv";

/**
 * 220 of the 246 rule subjects of the official test file are also in the dev file, with the same rules. The two are
 * put together and split by subject; the test split gets the larger part, for the 128 edits of the largest episode.
 */
const SHARES = { test: 0.75, validation: 0.25 };
const PRECEDENCE = ["test", "validation", "train"];

/**
 * Leaves out leaps whose hypothesis another leap answers differently or has as its rule, and repeated (rule,
 * hypothesis) pairs.
 */
function consistent(leaps) {
  const answers = new Map();
  for (const { hypothesis, answer } of leaps)
    answers.set(hypothesis, (answers.get(hypothesis) ?? new Set()).add(answer));
  const rules = new Set(leaps.map(({ rule }) => rule));
  const seen = new Set();
  return leaps.filter(({ rule, hypothesis }) => {
    const key = `${rule} ${hypothesis}`;
    const stands = answers.get(hypothesis).size === 1 && !rules.has(hypothesis);
    return stands && !seen.has(key) && seen.add(key);
  });
}

function splitBySubject(leaps) {
  const groups = mergeGroups(leaps.map(({ subjects }) => subjects));
  const splitOf = splitByGroup(groups, SHARES);
  const inSplit = (split) => leaps.filter((_, i) => splitOf.get(groups[i]) === split);
  // Rounding may leave a last group over for train.
  return { validation: leaps.filter((_, i) => splitOf.get(groups[i]) !== "test"), test: inSplit("test") };
}

/** Takes away distractors about a subject of another split: of its rules, or of its distractors if that split precedes. */
function withoutForeignDistractors(leapsOfSplit) {
  const ownerOf = new Map();
  const claim = (subject, split) => ownerOf.has(subject) || ownerOf.set(subject, split);
  for (const split of PRECEDENCE)
    for (const { subjects } of leapsOfSplit.get(split)) for (const subject of subjects) claim(subject, split);
  for (const split of PRECEDENCE)
    for (const { distractors } of leapsOfSplit.get(split))
      for (const { group } of distractors) claim(group, split);
  return new Map(
    [...leapsOfSplit].map(([split, leaps]) => [
      split,
      leaps.map((leap) => ({
        ...leap,
        distractors: leap.distractors.filter(({ group }) => ownerOf.get(group) === split),
      })),
    ]),
  );
}

/** Nothing that is trained on is asked in validation or test, and nothing of validation in test. */
function assertNoLeak(leapsOfSplit) {
  const splitOf = new Map();
  for (const [split, leaps] of leapsOfSplit)
    for (const { rule, hypothesis, subjects } of leaps)
      for (const item of [rule, hypothesis, ...subjects]) {
        const known = splitOf.get(item) ?? split;
        if (known !== split) throw new Error(`"${item}" is in ${known} and in ${split}`);
        splitOf.set(item, split);
      }
}

/** What is taught beside the leaps gives none of them away. */
function assertApart(background, leaps) {
  const sentences = new Set(leaps.flatMap(({ rule, hypothesis }) => [rule, hypothesis]));
  for (const { x } of background) if (sentences.has(x)) throw new Error(`"${x}" is background and a leap`);
}

export async function buildLeapOfThought(sources, out) {
  const read = (name) => readLeapOfThoughtFile(join(sources, name));
  const shuffled = await read(SHUFFLED_DEV);
  const isTrain = ({ origin }) => origin === "train";
  const official = uniqueLeaps([
    ...(await read(DEV)),
    ...(await read(TEST)),
    ...shuffled.filter((leap) => !isTrain(leap)),
  ]);
  const evaluation = consistent(official);
  const taken = new Set(evaluation.flatMap(({ subjects }) => subjects));
  const fromFile = shuffled.filter((leap) => isTrain(leap) && !leap.subjects.some((s) => taken.has(s)));
  const regenerated = regenerateLeaps(join(sources, KNOWLEDGE), (subject) => taken.has(subject));
  const train = consistent([...fromFile, ...regenerated]);
  const { validation, test } = splitBySubject(evaluation);
  const leapsOfSplit = withoutForeignDistractors(
    new Map([
      ["train", train],
      ["validation", validation],
      ["test", test],
    ]),
  );
  assertNoLeak(leapsOfSplit);
  const records = leapRecords(leapsOfSplit);
  writeAsset(out, "leapofthought/records.jsonl.gz", toJsonLines(records));
  const leaps = [...leapsOfSplit.values()].flat();
  const background = backgroundStatements(leaps, join(sources, KNOWLEDGE));
  assertApart(background, leaps);
  writeAsset(out, "leapofthought/background.jsonl.gz", toJsonLines(background));

  const perSplit = (test) =>
    Object.fromEntries(
      ["train", "validation", "test"].map((split) => [
        split,
        records.filter((record) => record.split === split && test(record)).length,
      ]),
    );
  const fileIds = new Set(fromFile.map(({ id }) => id));
  const manifest = {
    sources: describeSources(sources, [DEV, TEST, SHUFFLED_DEV, KNOWLEDGE]),
    records: records.length,
    splits: perSplit(() => true),
    answeredTrue: perSplit(({ y_loc }) => y_loc[0] === "True"),
    withHardOutOfScope: perSplit(({ hard_out }) => hard_out.length > 0),
    trainFromOfficialFile: train.filter(({ id }) => fileIds.has(id)).length,
    trainRegenerated: train.filter(({ id }) => !fileIds.has(id)).length,
    background: background.length,
    backgroundTrue: background.filter(({ y }) => y === "True").length,
    droppedOfficialRecords: official.length - evaluation.length,
  };
  writeAsset(out, "leapofthought/manifest.json", `${JSON.stringify(manifest, null, 2)}\n`);
  return manifest;
}
