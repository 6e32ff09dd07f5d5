import { z } from "zod";
import { cleanText, groupKey } from "../text.js";
import type { EditRecord, OutScopePair } from "../types.js";

const text = z.string().refine((value) => value.trim() !== "", "expected a text but received only blanks");

export const tripleSchema = z.looseObject({
  subject: text,
  predicate: text,
  object: text,
  validity: z.string().optional(),
});
export type Triple = Pick<z.output<typeof tripleSchema>, "subject" | "predicate" | "object" | "validity">;

/** Leap-Of-Thought's generated file (Talmor et al. 2020), one JSON object a line. */
export const leapOfThoughtSchema = z.looseObject({
  id: text,
  phrase: text,
  answer: z.literal([0, 1]),
  context: z.string(),
  metadata: z.looseObject({
    statement: tripleSchema.optional(),
    implicit_rule: tripleSchema.optional(),
    property: tripleSchema.optional(),
    distractors: z.looseObject({ property: z.array(tripleSchema).default([]) }).optional(),
    split: z.string().optional(),
  }),
});
export type LeapOfThoughtRow = z.output<typeof leapOfThoughtSchema>;

type Phrase = (subject: string, object: string) => string;

/** Sentences of the implicit rules by predicate (SLAG; datasets.md §6). The grammar is theirs ("A animal"). */
const RULE_SENTENCES: Readonly<Record<string, Phrase>> = {
  hypernym: (s, o) => `A ${s} is a ${o}.`,
  "/r/IsA": (s, o) => `A ${s} is a ${o}.`,
  meronym: (s, o) => `A ${s} has a ${o}.`,
  "part of": (s, o) => `A ${s} has a ${o}. (CN)`,
  "/r/PartOf": (s, o) => `A ${s} is part of ${o}.`,
  "/r/CapableOf": (s, o) => `A ${s} is capable of ${o}.`,
  "/r/Desires": (s, o) => `A ${s} desires ${o}.`,
  "/r/NotDesires": (s, o) => `A ${s} does not desire ${o}.`,
  "/r/Antonym": (s, o) => `A ${s} is not a ${o}.`,
  "/r/DistinctFrom": (s, o) => `A ${s} is not a ${o}.`,
};

/** Undefined for a predicate that no rule has. */
export function ruleSentence({ subject, predicate, object }: Triple): string | undefined {
  return RULE_SENTENCES[predicate]?.(subject, object);
}

/** A hypothesis as the official files word it; undefined for a predicate that none has. */
export function hypothesisSentence(triple: Triple): string | undefined {
  if (triple.predicate === "/r/Antonym") return `A ${triple.subject} is the opposite of ${triple.object}.`;
  return ruleSentence(triple);
}

export const truth = (holds: boolean): "True" | "False" => (holds ? "True" : "False");

/** A rule and one hypothesis that follows from it together with an unstated property. */
export interface Leap {
  readonly id: string;
  readonly rule: string;
  readonly hypothesis: string;
  readonly answer: "True" | "False";
  /** Normalised subjects of the rule and of the hypothesis. */
  readonly subjects: readonly string[];
  /** What the hypothesis says of its subject: leaps with the same are close to each other. */
  readonly property: string | undefined;
  /** Statements about other subjects, with their truth. */
  readonly distractors: readonly OutScopePair[];
  /** The split that the file names, if it names one. */
  readonly origin: string | undefined;
}

const propertyKey = ({ predicate, object }: Triple): string => `${predicate} ${groupKey(object)}`;

function distractorPair(triple: Triple): OutScopePair[] {
  const x = hypothesisSentence(triple);
  if (x === undefined || triple.validity === undefined) return [];
  return [
    { x: cleanText(x), y_gold: [truth(triple.validity === "always true")], group: groupKey(triple.subject) },
  ];
}

/**
 * @returns undefined for a row without an implicit rule or without a context: its hypothesis follows from what is
 *   stated, there is no rule to add; a message for a predicate that no rule sentence exists for
 */
export function toLeap(row: LeapOfThoughtRow): Leap | { readonly problem: string } | undefined {
  const { implicit_rule, statement, distractors, split } = row.metadata;
  if (implicit_rule === undefined || row.context.trim() === "") return undefined;
  const rule = ruleSentence(implicit_rule);
  if (rule === undefined) {
    const known = Object.keys(RULE_SENTENCES).join(", ");
    return {
      problem: `\`metadata.implicit_rule.predicate\`: expected one of ${known} but received "${implicit_rule.predicate}"`,
    };
  }
  return {
    id: row.id,
    rule: cleanText(rule),
    hypothesis: cleanText(row.phrase),
    answer: truth(row.answer === 1),
    subjects: [
      ...new Set([implicit_rule, statement ?? implicit_rule].map(({ subject }) => groupKey(subject))),
    ],
    property: statement && propertyKey(statement),
    distractors: (distractors?.property ?? []).flatMap(distractorPair),
    origin: split,
  };
}

/** The rule is the edit, asked to be true; what follows from it is the hypothesis, which is also what others see. */
export function leapRecord(leap: Leap, group: string, hard: readonly OutScopePair[]): EditRecord {
  return {
    id: leap.id,
    group,
    x_e: leap.rule,
    y_e_options: ["True"],
    in_scope: [],
    in_scope_noisy: [],
    entailed: [{ x: leap.hypothesis, y: leap.answer }],
    hard_out: hard,
    x_loc: leap.hypothesis,
    y_loc: [leap.answer],
  };
}
