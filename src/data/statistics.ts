import { phrasings } from "./episodes.js";
import { type Dataset, type EditRecord, SPLITS, type Split } from "./types.js";

export interface LengthSummary {
  readonly mean: number;
  readonly max: number;
}

export interface AnswerShare {
  readonly answer: string;
  /** Of the records with a gold answer. */
  readonly share: number;
}

export interface SplitStatistics {
  readonly records: number;
  readonly groups: number;
  readonly relations: number;
  readonly withHardOutOfScope: number;
  readonly withNoisyRephrase: number;
  readonly withRephrase: number;
  readonly rephrasesPerRecord: number;
  readonly entailedPerRecord: number;
  readonly distinctAnswers: number;
  /** The most frequent gold answers, the most frequent first. */
  readonly commonAnswers: readonly AnswerShare[];
  /** In characters. */
  readonly inputLength: LengthSummary;
  readonly answerLength: LengthSummary;
}

export interface SplitOverlap {
  readonly a: Split;
  readonly b: Split;
  readonly sharedGroups: number;
  /** Groups that neighbours (hard out-of-scope) of one split share with edits or neighbours of the other. */
  readonly sharedNeighbourGroups: number;
  readonly sharedInputs: number;
}

export interface DatasetStatistics {
  readonly name: string;
  readonly splits: Readonly<Record<Split, SplitStatistics>>;
  readonly overlaps: readonly SplitOverlap[];
  /** The first records of the test split. */
  readonly examples: readonly EditRecord[];
}

function summarise(texts: readonly string[]): LengthSummary {
  let sum = 0;
  let max = 0;
  for (const { length } of texts) {
    sum += length;
    max = Math.max(max, length);
  }
  return { mean: texts.length === 0 ? 0 : sum / texts.length, max };
}

const COMMON_ANSWERS = 3;

function commonAnswers(answers: readonly string[]): AnswerShare[] {
  const counts = new Map<string, number>();
  for (const answer of answers) counts.set(answer, (counts.get(answer) ?? 0) + 1);
  return [...counts]
    .toSorted(([a, countA], [b, countB]) => countB - countA || (a < b ? -1 : 1))
    .slice(0, COMMON_ANSWERS)
    .map(([answer, count]) => ({ answer, share: count / answers.length }));
}

function describeSplit(records: readonly EditRecord[]): SplitStatistics {
  const count = (test: (record: EditRecord) => boolean) => records.filter(test).length;
  const answers = records.flatMap(({ y_loc }) => y_loc.slice(0, 1));
  const perRecord = (pick: (record: EditRecord) => readonly unknown[]) =>
    records.length === 0 ? 0 : records.reduce((sum, record) => sum + pick(record).length, 0) / records.length;
  return {
    records: records.length,
    groups: new Set(records.map(({ group }) => group)).size,
    relations: new Set(records.flatMap(({ relation }) => relation ?? [])).size,
    withHardOutOfScope: count(({ hard_out }) => hard_out.length > 0),
    withNoisyRephrase: count(({ in_scope_noisy }) => in_scope_noisy.length > 0),
    withRephrase: count(({ in_scope }) => in_scope.length > 0),
    rephrasesPerRecord: perRecord(({ in_scope }) => in_scope),
    entailedPerRecord: perRecord(({ entailed }) => entailed),
    distinctAnswers: new Set(answers).size,
    commonAnswers: commonAnswers(answers),
    inputLength: summarise(records.map(({ x_e }) => x_e)),
    answerLength: summarise(answers),
  };
}

const editGroups = (records: readonly EditRecord[]) => new Set(records.map(({ group }) => group));
const neighbourGroups = (records: readonly EditRecord[]) =>
  new Set(records.flatMap(({ hard_out }) => hard_out.flatMap(({ group }) => group ?? [])));
const inputs = (records: readonly EditRecord[]) =>
  new Set(
    records.flatMap((record) => [record.x_e, ...phrasings(record), ...record.hard_out.map(({ x }) => x)]),
  );

function countShared(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  let shared = 0;
  for (const item of a) if (b.has(item)) shared += 1;
  return shared;
}

function describeOverlap(dataset: Dataset, a: Split, b: Split): SplitOverlap {
  const [left, right] = [dataset.splits[a], dataset.splits[b]];
  const [leftEdits, rightEdits] = [editGroups(left), editGroups(right)];
  const [leftNeighbours, rightNeighbours] = [neighbourGroups(left), neighbourGroups(right)];
  const shared = [
    [leftNeighbours, rightNeighbours],
    [leftNeighbours, rightEdits],
    [leftEdits, rightNeighbours],
  ] as const;
  return {
    a,
    b,
    sharedGroups: countShared(leftEdits, rightEdits),
    sharedNeighbourGroups: shared.reduce((sum, [from, to]) => sum + countShared(from, to), 0),
    sharedInputs: countShared(inputs(left), inputs(right)),
  };
}

/** Counts, lengths, overlap between splits and examples; one pass over the records. */
export function datasetStatistics(dataset: Dataset, exampleCount = 3): DatasetStatistics {
  const { train, validation, test } = dataset.splits;
  return {
    name: dataset.name,
    splits: {
      train: describeSplit(train),
      validation: describeSplit(validation),
      test: describeSplit(test),
    },
    overlaps: SPLITS.flatMap((a, i) => SPLITS.slice(i + 1).map((b) => describeOverlap(dataset, a, b))),
    examples: test.slice(0, exampleCount),
  };
}
