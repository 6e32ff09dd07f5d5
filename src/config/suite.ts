import { z } from "zod";
import { EDITORS } from "../editors/registry.js";
import { evaluationSchema } from "./evaluation.js";
import { trainingSchema } from "./training.js";

const editorSchema = z.discriminatedUnion("kind", [EDITORS.seprog.spec]);

/** A list of which each item makes cells of its own. */
const distinct = <Item extends z.ZodType>(item: Item) =>
  z
    .array(item)
    .min(1)
    .refine((items) => new Set(items).size === items.length, "expected values that differ from each other");

/** How text becomes tokens: rows longer than a limit are cut on the right, edit texts on the left. */
export const textSchema = z.strictObject({
  maxSourceTokens: z.int().positive().default(32),
  maxTargetTokens: z.int().positive().default(32),
  maxEditTokens: z.int().positive().default(64),
  /** What joins x_e and y_e into the text that the edit encoder reads. */
  editSeparator: z.string().min(1).default(" >> "),
  /** Exact length of the answers of models that continue their source. */
  answerTokens: z.int().positive().optional(),
});

export const methodSchema = z.strictObject({
  editor: editorSchema,
  training: trainingSchema.prefault({}),
});

/** One file describes what is trained and measured: every method × data set × K × seed is a cell. */
export const suiteSchema = z.strictObject({
  schemaVersion: z.literal(1).default(1),
  name: z.string().regex(/^[A-Za-z0-9._-]+$/),
  description: z.string().default(""),
  /** A bundled model's name or a Hugging Face folder. */
  model: z.string().min(1),
  /** Names of bundled data sets, or paths of JSON Lines files in the common record format. */
  datasets: distinct(z.string().min(1)),
  k: distinct(z.int().positive()),
  seeds: distinct(z.int().min(0)).default([0]),
  methods: z
    .record(z.string().regex(/^[A-Za-z0-9_-]+$/), methodSchema)
    .refine((methods) => Object.keys(methods).length > 0, "expected at least one method"),
  text: textSchema.prefault({}),
  evaluation: evaluationSchema.prefault({}),
});

export type SuiteConfig = z.infer<typeof suiteSchema>;
export type MethodConfig = z.infer<typeof methodSchema>;
export type TextConfig = z.infer<typeof textSchema>;
