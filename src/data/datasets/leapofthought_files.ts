import { mergeGroups } from "../groups.js";
import { parseJsonLines } from "../json_lines.js";
import { Problems } from "../problems.js";
import { Rng } from "../random.js";
import { SPLIT_SEED } from "../splits.js";
import { type EditRecord, type OutScopePair, SPLITS, type Split } from "../types.js";
import { UniqueIds } from "../unique_ids.js";
import { type Leap, leapOfThoughtSchema, leapRecord, toLeap } from "./leapofthought_formats.js";

/** Shares of the unique rule sentences (SLAG). */
const RULE_SHARES = { train: 0.6, validation: 0.1 };

/** Hard out-of-scope pairs of a record, at most. */
const HARD_PAIRS = 3;

/**
 * The leaps of one official file, each id once. Rows without an implicit rule give none.
 * @throws SeprogError DATA_INVALID with `file:line` for every bad row and for ids of two hypotheses
 */
export async function readLeapOfThoughtFile(path: string): Promise<Leap[]> {
  const problems = new Problems();
  const ids = new UniqueIds(path, problems);
  const leaps: Leap[] = [];
  for await (const { number, value } of parseJsonLines(path, leapOfThoughtSchema, problems)) {
    const leap = toLeap(value);
    // Published files hold a hypothesis again in another context, under the same id.
    ids.add(value.id, number, `${value.phrase} ${value.answer}`);
    if (leap === undefined) continue;
    if ("problem" in leap) problems.add(`${path}:${number}`, leap.problem);
    else leaps.push(leap);
  }
  problems.throwIfAny(path);
  return uniqueLeaps(leaps);
}

/** Each id once: the first stands. */
export function uniqueLeaps(leaps: readonly Leap[]): Leap[] {
  return [...new Map(leaps.toReversed().map((leap) => [leap.id, leap])).values()].reverse();
}

/**
 * SLAG's split: unique rule sentences 60 / 10 / 30 % into train, validation and test, in seeded order (the seed is
 * ours: their permutation is NumPy's). A leap outside train is kept only if neither its rule nor its hypothesis is a
 * sentence of train.
 */
export function splitByRule(leaps: readonly Leap[]): Map<Split, Leap[]> {
  const rules = Rng.fromSeed(SPLIT_SEED).shuffle([...new Set(leaps.map(({ rule }) => rule))].sort());
  const trainEnd = RULE_SHARES.train * rules.length;
  const validationEnd = trainEnd + RULE_SHARES.validation * rules.length;
  const splitOf = new Map(
    rules.map(
      (rule, i) => [rule, i < trainEnd ? "train" : i < validationEnd ? "validation" : "test"] as const,
    ),
  );
  const inSplit = (split: Split) => leaps.filter(({ rule }) => splitOf.get(rule) === split);
  const train = inSplit("train");
  const taught = new Set(train.flatMap(({ rule, hypothesis }) => [rule, hypothesis]));
  const apart = (leap: Leap) => !taught.has(leap.rule) && !taught.has(leap.hypothesis);
  return new Map([
    ["train", train],
    ["validation", inSplit("validation").filter(apart)],
    ["test", inSplit("test").filter(apart)],
  ]);
}

/**
 * What is close to each leap and not affected by its rule: its distractors, then hypotheses that say the same of
 * another subject. All leaps are of one split.
 */
export function hardPairs(leaps: readonly Leap[], groups: readonly string[]): OutScopePair[][] {
  const withProperty = new Map<string, number[]>();
  leaps.forEach(({ property }, i) => {
    if (property === undefined) return;
    const known = withProperty.get(property);
    if (known === undefined) withProperty.set(property, [i]);
    else known.push(i);
  });
  const rng = Rng.fromSeed(SPLIT_SEED);
  return leaps.map(({ property, hypothesis, distractors, subjects }, i) => {
    const alike = property === undefined ? [] : (withProperty.get(property) ?? []);
    const others = rng.shuffle(alike.filter((other) => groups[other] !== groups[i])).flatMap((other) => {
      const leap = leaps[other];
      return leap === undefined
        ? []
        : [{ x: leap.hypothesis, y_gold: [leap.answer], group: groups[other] ?? leap.id }];
    });
    const foreign = distractors.filter(({ group }) => group === undefined || !subjects.includes(group));
    const pairs = new Map([...foreign, ...others].map((pair) => [pair.x, pair] as const));
    pairs.delete(hypothesis);
    return [...pairs.values()].slice(0, HARD_PAIRS);
  });
}

/** Records of leaps whose split is known; groups are joined subjects, within a split. */
export function leapRecords(leapsOfSplit: ReadonlyMap<Split, readonly Leap[]>): EditRecord[] {
  return SPLITS.flatMap((split) => {
    const leaps = leapsOfSplit.get(split) ?? [];
    const groups = mergeGroups(leaps.map(({ subjects }) => subjects));
    const hard = hardPairs(leaps, groups);
    return leaps.map((leap, i) => ({ ...leapRecord(leap, groups[i] ?? leap.id, hard[i] ?? []), split }));
  });
}
