import { groupKey } from "../text.js";
import { COPY, type EditRecord, type Split } from "../types.js";

/** One fact of a subject, before it is joined with the subject's other one. */
export interface RelationFact {
  readonly id: string;
  /** Canonical name first. */
  readonly subjects: readonly string[];
  /** Canonical label first. */
  readonly relations: readonly string[];
  /** All correct objects and their aliases, the canonical one first. */
  readonly answers: readonly string[];
  readonly labels: readonly string[];
  /** Inputs that ask for the same, other than the canonical one. */
  readonly paraphrases: readonly string[];
  readonly split: Split;
}

/** SLAG's input; the blank at its end belongs to it. */
export const relationInput = (subject: string, relation: string): string =>
  `${subject} has relation '${relation}' to `;

const canonicalInput = ({ subjects: [subject = ""], relations: [relation = ""] }: RelationFact): string =>
  relationInput(subject, relation);

function toRecord(fact: RelationFact, other: RelationFact): EditRecord {
  const x = canonicalInput(fact);
  return {
    id: fact.id,
    group: groupKey(fact.subjects[0] ?? ""),
    x_e: x,
    y_e_options: fact.labels,
    in_scope: fact.paraphrases.map((text) => ({ x: text, y: COPY })),
    in_scope_noisy: [],
    entailed: [],
    hard_out: [{ x: canonicalInput(other), y_gold: other.answers }],
    x_loc: x,
    y_loc: fact.answers,
    relation: fact.relations[0],
    split: fact.split,
  };
}

/** The two facts of one subject as records: each is hard out-of-scope for the other (lines 2i and 2i + 1 of SLAG's files). */
export function toPair(first: RelationFact, second: RelationFact): [EditRecord, EditRecord] {
  return [toRecord(first, second), toRecord(second, first)];
}
