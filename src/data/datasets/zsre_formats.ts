import { z } from "zod";
import { cleanText, groupKey, sameAnswer } from "../text.js";
import { COPY, type EditRecord } from "../types.js";

/** A record before its groups are joined: `keys` are its question and its subject, normalised. */
export interface KeyedRecord {
  readonly record: Omit<EditRecord, "group" | "id">;
  readonly keys: readonly string[];
}

/** Why a row of an official file gives no record. */
export type Dropped =
  | "no alternative answer"
  | "no rephrase that differs from the question"
  | "every alternative is the true answer";

const isText = (text: string | undefined): boolean => text !== undefined && text.trim() !== "";

const question = z.string().refine(isText, "expected a question but received only blanks");
const textList = z.union([z.array(z.string()), z.string().transform((answer) => [answer])]);
const answerList = textList.refine(
  (answers) => answers.some(isText),
  "expected an answer that is not blank but received none",
);

/** De Cao et al. 2021: annotated KILT, one JSON object a line. */
export const kiltSchema = z.looseObject({
  id: z.union([z.string(), z.number()]),
  input: question,
  output: z
    .array(z.looseObject({ answer: z.string().optional() }))
    .refine(
      (outputs) => outputs.some(({ answer }) => isText(answer)),
      "expected an answer that is not blank but received none",
    ),
  meta: z.looseObject({ sub_surface: textList.optional() }).optional(),
  prediction: z.string().optional(),
  alternatives: z.array(z.string()),
  filtered_rephrases: z.array(z.string()),
});

/** MEND's records as released with ROME and EasyEdit: one JSON array. */
export const mendSchema = z.looseObject({
  subject: z.string(),
  src: question,
  pred: z.string(),
  rephrase: z.string(),
  alt: z.string(),
  answers: answerList,
});

/** KnowEdit's zsRE: one JSON array, with other facts of the same subject. */
export const knowEditSchema = z.looseObject({
  subject: z.string(),
  prompt: question,
  target_new: z.string(),
  ground_truth: answerList,
  rephrase_prompt: z.string(),
  locality: z.looseObject({
    Relation_Specificity: z.array(z.looseObject({ prompt: z.string(), ground_truth: textList })).default([]),
  }),
});

interface Parts {
  readonly question: string;
  readonly subjects: readonly string[];
  readonly labels: readonly string[];
  readonly gold: readonly string[];
  readonly rephrases: readonly string[];
  readonly hardOut?: readonly { readonly prompt: string; readonly ground_truth: readonly string[] }[];
}

const uniqueTexts = (texts: readonly string[]): string[] => [
  ...new Set(texts.map(cleanText).filter((text) => text !== "")),
];

function toKeyedRecord(parts: Parts): KeyedRecord | Dropped {
  const question = cleanText(parts.question);
  const gold = uniqueTexts(parts.gold);
  const labels = uniqueTexts(parts.labels);
  const rephrases = uniqueTexts(parts.rephrases).filter((text) => groupKey(text) !== groupKey(question));
  const changing = labels.filter((label) => !gold.some((answer) => sameAnswer(answer, label)));
  if (labels.length === 0) return "no alternative answer";
  if (changing.length === 0) return "every alternative is the true answer";
  if (rephrases.length === 0) return "no rephrase that differs from the question";
  const record = {
    x_e: question,
    y_e_options: changing,
    in_scope: rephrases.map((x) => ({ x, y: COPY })),
    in_scope_noisy: [],
    entailed: [],
    hard_out: (parts.hardOut ?? [])
      .map(({ prompt, ground_truth }) => ({ x: cleanText(prompt), y_gold: uniqueTexts(ground_truth) }))
      // Some "other facts" are the edited one in other words; their answer gives them away.
      .filter(({ y_gold }) => y_gold.length > 0 && !y_gold.some((a) => gold.some((b) => sameAnswer(a, b)))),
    x_loc: question,
    y_loc: gold,
  };
  const keys = [groupKey(question), ...parts.subjects.filter((s) => s.trim() !== "").map(groupKey)];
  return { record, keys };
}

/** @param row a row of De Cao's file; `prediction` is the answer of their BART, not of the model at hand: not kept */
export function fromKilt(row: z.infer<typeof kiltSchema>): KeyedRecord | Dropped {
  return toKeyedRecord({
    question: row.input,
    subjects: row.meta?.sub_surface ?? [],
    labels: row.alternatives,
    gold: row.output.flatMap(({ answer }) => (answer === undefined ? [] : [answer])),
    rephrases: row.filtered_rephrases,
  });
}

export function fromMend(row: z.infer<typeof mendSchema>): KeyedRecord | Dropped {
  return toKeyedRecord({
    question: row.src,
    subjects: [row.subject],
    labels: [row.alt],
    gold: row.answers,
    rephrases: [row.rephrase],
  });
}

export function fromKnowEdit(row: z.infer<typeof knowEditSchema>): KeyedRecord | Dropped {
  return toKeyedRecord({
    question: row.prompt,
    subjects: [row.subject],
    labels: [row.target_new],
    gold: row.ground_truth,
    rephrases: [row.rephrase_prompt],
    hardOut: row.locality.Relation_Specificity,
  });
}
