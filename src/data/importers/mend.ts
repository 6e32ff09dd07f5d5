import { z } from "zod";
import { FEVER_LABELS, fromKiltFever, kiltFeverSchema } from "../datasets/fever_formats.js";
import { fromKilt, kiltSchema } from "../datasets/zsre_formats.js";
import { type Layout, rowLayout } from "./layout.js";

const answered = z.looseObject({ output: z.array(z.looseObject({ answer: z.string().optional() })) });

/** Claims and questions have the same keys: a claim's answer is a class. */
export function isClaim(row: object): boolean {
  const { success, data } = answered.safeParse(row);
  return success && data.output.some(({ answer = "" }) => Object.hasOwn(FEVER_LABELS, answer));
}

/** De Cao et al.'s annotation of KILT, which MEND and SERAC read. */
const KEYS = ["input", "output", "alternatives", "filtered_rephrases"];

export const MEND_LAYOUTS: readonly Layout[] = [
  rowLayout({
    format: "mend",
    title: "FEVER of De Cao et al. and MEND (fever-{train,dev}-kilt.jsonl)",
    container: "lines",
    keys: KEYS,
    isRow: isClaim,
    schema: kiltFeverSchema,
    toRow: (row) => ({ outcome: fromKiltFever(row), omitted: [] }),
  }),
  rowLayout({
    format: "mend",
    title: "zsRE of De Cao et al. and MEND (structured_zeroshot-{train,dev}-new_annotated_final.jsonl)",
    container: "lines",
    keys: KEYS,
    isRow: (row) => !isClaim(row),
    schema: kiltSchema,
    toRow: (row) => ({ outcome: fromKilt(row), omitted: [] }),
  }),
];
