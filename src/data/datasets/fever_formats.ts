import { z } from "zod";
import { cleanText, groupKey } from "../text.js";
import { COPY, type EditRecord } from "../types.js";

/** The classes of a fact checker as records and edit texts speak them (datasets.md §4). */
export const FEVER_LABELS = { SUPPORTS: "True", REFUTES: "False" } as const;

export const feverLabel = z.enum(["SUPPORTS", "REFUTES"]).transform((label) => FEVER_LABELS[label]);
type Spoken = z.output<typeof feverLabel>;

const claim = z.string().refine((value) => value.trim() !== "", "expected a claim but received only blanks");
const claimId = z.union([z.string().min(1), z.number()]).transform(String);

/** De Cao et al. 2021: KILT's FEVER with back-translations and the answer of their model, one JSON object a line. */
export const kiltFeverSchema = z.looseObject({
  id: claimId,
  input: claim,
  output: z.tuple(
    [
      z.looseObject({
        answer: feverLabel,
        provenance: z.array(z.looseObject({ title: z.string().optional() })).optional(),
      }),
    ],
    z.looseObject({}),
  ),
  prediction: feverLabel,
  alternatives: z.array(feverLabel),
  filtered_rephrases: z.array(z.string()),
});

/** MALMEN's files: one JSON array; `alt` is the label to edit to. */
export const malmenFeverSchema = z.looseObject({
  prompt: claim,
  equiv_prompt: z.union([z.array(z.string()), z.string().transform((text) => [text])]),
  alt: feverLabel,
});

/** Why a row of an official file gives no record. */
export type DroppedClaim = "no alternative label" | "no paraphrase that differs from the claim";

/** A record before its groups are joined. */
export interface KeyedClaim {
  readonly record: Omit<EditRecord, "group" | "id">;
  readonly keys: readonly string[];
}

export const otherLabel = (label: string): Spoken => (label === "True" ? "False" : "True");

/** Group key of an evidence page: of its own kind, so that no claim that reads like a title joins it. */
export const pageKey = (title: string): string => `page ${groupKey(title)}`;

/** Paraphrases as in-scope pairs: cleaned, each once, none that is the claim but for case and punctuation. */
export function paraphrasePairs(text: string, paraphrases: readonly string[]): EditRecord["in_scope"] {
  const seen = new Set(["", groupKey(text)]);
  return paraphrases.flatMap((paraphrase) => {
    const x = cleanText(paraphrase);
    const key = x === "" ? "" : groupKey(x);
    if (seen.has(key)) return [];
    seen.add(key);
    return [{ x, y: COPY }];
  });
}

export interface ClaimParts {
  readonly claim: string;
  readonly options: readonly Spoken[];
  readonly gold: Spoken;
  readonly paraphrases: readonly string[];
}

export function claimRecord(parts: ClaimParts): KeyedClaim["record"] {
  const x_e = cleanText(parts.claim);
  return {
    x_e,
    y_e_options: [...new Set(parts.options)],
    in_scope: paraphrasePairs(x_e, parts.paraphrases),
    in_scope_noisy: [],
    entailed: [],
    hard_out: [],
    x_loc: x_e,
    y_loc: [parts.gold],
  };
}

/**
 * Both classes are admissible: which of them changes the base model, and which keeps it, shows when its prediction is
 * known. Group: the claim, and the first evidence page; joining by all pages would make one group of most claims.
 */
export function fromKiltFever(row: z.output<typeof kiltFeverSchema>): KeyedClaim | DroppedClaim {
  const [{ answer, provenance = [] }] = row.output;
  if (row.alternatives.length === 0) return "no alternative label";
  const record = claimRecord({
    claim: row.input,
    options: [...row.alternatives, row.prediction],
    gold: answer,
    paraphrases: row.filtered_rephrases,
  });
  if (record.in_scope.length === 0) return "no paraphrase that differs from the claim";
  const page = provenance.find(({ title }) => title !== undefined)?.title;
  return { record, keys: [groupKey(record.x_e), ...(page === undefined ? [] : [pageKey(page)])] };
}

/** The file holds no gold label: the class that `alt` flips stands for it. Its random locality claims are not used. */
export function fromMalmenFever(row: z.output<typeof malmenFeverSchema>): KeyedClaim | DroppedClaim {
  const record = claimRecord({
    claim: row.prompt,
    options: [row.alt],
    gold: otherLabel(row.alt),
    paraphrases: row.equiv_prompt,
  });
  if (record.in_scope.length === 0) return "no paraphrase that differs from the claim";
  return { record, keys: [groupKey(record.x_e)] };
}
