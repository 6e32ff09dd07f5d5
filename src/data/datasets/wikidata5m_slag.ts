import { z } from "zod";
import { parseJsonLines } from "../json_lines.js";
import { Problems } from "../problems.js";
import { Rng } from "../random.js";
import { SPLIT_SEED } from "../splits.js";
import { cleanText, groupKey, sameAnswer } from "../text.js";
import { type EditRecord, SPLITS, type Split } from "../types.js";
import { UniqueIds } from "../unique_ids.js";
import { type RelationFact, relationInput, toPair } from "./wikidata5m_pairs.js";

/** One fact in SLAG's form: names of the subject, of the relation, and of all correct objects, canonical first. */
export interface SlagFact {
  readonly entity1: readonly string[];
  readonly relation: readonly string[];
  readonly entity2: readonly string[];
}

/** Facts of a split; 2i and 2i + 1 are about one subject. */
export type SlagSplits = Readonly<Record<Split, readonly SlagFact[]>>;

/** SLAG puts a list into the list where a subject has several objects. */
const names = z
  .array(z.union([z.string(), z.array(z.string())]))
  .transform((lists) => [...new Set(lists.flat().map(cleanText))].filter((name) => name !== ""))
  .refine((list) => list.length > 0, "expected at least one name that is not blank");

export const slagSchema = z
  .looseObject({ entity1: names, relation: names, entity2: names })
  .transform(({ entity1, relation, entity2 }) => ({ entity1, relation, entity2 }));

/**
 * One of SLAG's filtered files (`filter_wikidata.py`), a fact a line.
 * @throws SeprogError DATA_INVALID with `file:line` for every bad line, for a fact that returns, and where two lines that
 *   belong together are not two relations of one subject
 */
export async function readSlagFile(path: string): Promise<SlagFact[]> {
  const problems = new Problems();
  const ids = new UniqueIds(path, problems);
  const rows: { line: number; fact: SlagFact }[] = [];
  for await (const { number, value } of parseJsonLines(path, slagSchema, problems)) {
    ids.add(`${value.entity1[0]}, ${value.relation[0]}`, number);
    rows.push({ line: number, fact: value });
  }
  // A line left out would shift the pairs: tell what is wrong with the lines first.
  problems.throwIfAny(path);
  for (let i = 0; i < rows.length; i += 2) {
    const [first, second] = [rows[i], rows[i + 1]];
    if (first?.fact.entity1[0] !== second?.fact.entity1[0])
      problems.add(
        `${path}:${first?.line}`,
        `\`entity1\`: expected this line and the next to have one subject but received "${first?.fact.entity1[0]}" and ` +
          (second === undefined ? "the end of the file" : `"${second.fact.entity1[0]}"`),
      );
  }
  problems.throwIfAny(path);
  return rows.map(({ fact }) => fact);
}

export interface SlagRecordOptions {
  /** Where edit labels come from: objects of the same relation, or any object of the split, as SLAG draws them. */
  readonly labelsFrom?: "relation" | "split";
}

const LABELS = 4;
const PARAPHRASES = 4;
/** Draws before fewer labels must do: a relation may have few objects. */
const REDRAWS = 64;

/** Canonical objects of a split, each as often as it occurs, by what they may be labels for. */
export class ObjectPool {
  readonly #objects = new Map<string, string[]>();
  readonly #keyOf: (fact: SlagFact) => string;

  constructor(labelsFrom: "relation" | "split") {
    this.#keyOf = labelsFrom === "relation" ? ({ relation }) => relation[0] ?? "" : () => "";
  }

  add(fact: SlagFact): void {
    const known = this.#objects.get(this.#keyOf(fact));
    if (known === undefined) this.#objects.set(this.#keyOf(fact), [fact.entity2[0] ?? ""]);
    else known.push(fact.entity2[0] ?? "");
  }

  /** Up to four that are not true of the fact. */
  draw(fact: SlagFact, rng: Rng): string[] {
    const objects = this.#objects.get(this.#keyOf(fact)) ?? [];
    const labels = new Map<string, string>();
    for (let i = 0; i < REDRAWS && labels.size < LABELS; i++) {
      const label = rng.pick(objects);
      if (!fact.entity2.some((answer) => sameAnswer(answer, label))) labels.set(groupKey(label), label);
    }
    return [...labels.values()];
  }
}

/** Up to four inputs: another name of subject and relation; where there are too few, another name of one of them. */
export function drawParaphrases({ entity1, relation }: SlagFact, rng: Rng): string[] {
  const [subject = "", ...subjects] = entity1;
  const [label = "", ...labels] = relation;
  const both = subjects.flatMap((e1) => labels.map((r) => relationInput(e1, r)));
  const drawn = rng.shuffle(both).slice(0, PARAPHRASES);
  if (drawn.length === PARAPHRASES) return drawn;
  const one = [
    ...labels.map((r) => relationInput(subject, r)),
    ...subjects.map((e1) => relationInput(e1, label)),
  ];
  return [...drawn, ...rng.shuffle(one).slice(0, PARAPHRASES - drawn.length)];
}

/**
 * Records of SLAG's facts. SLAG lets a subject of dev or test return in train with two other relations; here such train
 * (and dev) facts are left out, and so are pairs for which the split has no other object to draw a label from.
 */
export function slagRecords(
  splits: SlagSplits,
  { labelsFrom = "relation" }: SlagRecordOptions = {},
): EditRecord[] {
  const rng = Rng.fromSeed(SPLIT_SEED);
  const taken = new Set<string>();
  const records: EditRecord[] = [];
  for (const split of SPLITS.toReversed()) {
    const facts = splits[split];
    const pool = new ObjectPool(labelsFrom);
    for (const fact of facts) pool.add(fact);
    const groups = new Set<string>();
    const toFact = (fact: SlagFact, index: number): RelationFact => ({
      id: `wikidata5m-${split}-${index}`,
      subjects: fact.entity1,
      relations: fact.relation,
      answers: fact.entity2,
      labels: pool.draw(fact, rng),
      paraphrases: drawParaphrases(fact, rng),
      split,
    });
    for (let i = 0; i + 1 < facts.length; i += 2) {
      const [first, second] = [facts[i], facts[i + 1]];
      const group = groupKey(first?.entity1[0] ?? "");
      if (first === undefined || second === undefined || taken.has(group)) continue;
      const pair = [toFact(first, i), toFact(second, i + 1)] as const;
      if (pair.some(({ labels }) => labels.length === 0)) continue;
      groups.add(group);
      records.push(...toPair(...pair));
    }
    for (const group of groups) taken.add(group);
  }
  return records;
}
