import { z } from "zod";
import { actsByConsequence } from "./labels.js";
import type { EditRecord } from "./types.js";

const text = z.string().refine((value) => value.trim() !== "", "expected a text but received only blanks");
const inScopePair = z.strictObject({ x: text, y: text });
const outScopePair = z.strictObject({
  x: text,
  y_gold: z.union([z.array(text), text.transform((answer) => [answer])]),
  group: text.optional(),
});

/** The common record as files hold it: only `x_e` and `y_e_options` are asked for, the rest has defaults. */
export const recordSchema = z
  .strictObject({
    id: text.optional(),
    group: text.optional(),
    x_e: text,
    y_e_options: z.array(text).min(1),
    in_scope: z.array(inScopePair).default([]),
    in_scope_noisy: z.array(inScopePair).default([]),
    entailed: z.array(inScopePair).default([]),
    hard_out: z.array(outScopePair).default([]),
    x_loc: text.optional(),
    y_loc: z.array(text).default([]),
    base_pred: z.string().optional(),
    relation: text.optional(),
    split: z.enum(["train", "validation", "test"]).optional(),
  })
  .refine(
    // What follows from an edit may be new where the edit itself is not.
    ({ base_pred, y_e_options, ...scope }) =>
      actsByConsequence(scope) || y_e_options.some((label) => label !== base_pred),
    {
      path: ["y_e_options"],
      message: "every label is what the base model says already (`base_pred`)",
    },
  );

export type FileRecord = z.infer<typeof recordSchema>;

/** One line a problem: `path.to.field: expected … but received …`. */
export function describeIssues(error: z.ZodError): string[] {
  return error.issues.map((issue) => {
    const path = issue.path.map(String).join(".");
    const message = issue.message.replace(/^Invalid input: /, "").replace(/, received /, " but received ");
    return path === "" ? message : `\`${path}\`: ${message}`;
  });
}

/** Fills what a file may leave out. @param fallbackId used where the record has no id */
export function completeRecord(record: FileRecord, fallbackId: string, group: string): EditRecord {
  return { ...record, id: record.id ?? fallbackId, group, x_loc: record.x_loc ?? record.x_e };
}
