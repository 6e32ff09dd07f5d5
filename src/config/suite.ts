import { z } from "zod";
import { EDITORS, type EditorKind, type EditorSpec, isTrained, nestsK } from "../editors/registry.js";
import { BASE_DTYPES, type BaseDtype } from "../models/base_dtype.js";
import type { EvaluationConfig } from "./evaluation.js";
import { trainingSchema } from "./training.js";

type EditorOptions = (typeof EDITORS)[EditorKind]["spec"];
// Zod asks for a list that is seen not to be empty; the registry is none.
export const editorSchema = z.discriminatedUnion(
  "kind",
  Object.values(EDITORS).map(({ spec }) => spec) as [EditorOptions, ...EditorOptions[]],
);

/** A list of which each item makes cells of its own. */
const distinct = <Item extends z.ZodType>(item: Item, keyOf: (value: z.output<Item>) => unknown = String) =>
  z
    .array(item)
    .min(1)
    .refine(
      (items) => new Set(items.map(keyOf)).size === items.length,
      "expected values that differ from each other",
    );

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

export const methodSchema = z
  .strictObject({
    editor: editorSchema,
    training: trainingSchema.prefault({}),
  })
  .superRefine(({ editor, training: { kMixing } }, context) => {
    if (kMixing === "nested" && isTrained(editor) && !nestsK(editor))
      context.addIssue({
        code: "custom",
        path: ["training", "kMixing"],
        message: `expected drawn for an editor of kind ${editor.kind}, whose step sees its rows at one K, but received nested`,
      });
  });

export const modelSchema = z.string().min(1);

/** What the base's large matrices are rounded to when it is loaded (docs/precision.md). */
export const baseDtypeSchema = z.enum(BASE_DTYPES).default("fp32");

/** Options that are checked where they end up: merged over those they change. */
const part = z.record(z.string(), z.unknown());

export const kSchema = distinct(z.int().positive());
export const seedsSchema = distinct(z.int().min(0));

/** A data set and what is other for it than for the rest of the suite. */
const datasetEntrySchema = z.strictObject({
  /** A bundled data set, `NAME:FOLDER` for official files, or the path of a JSON Lines file of common records. */
  name: z.string().min(1),
  /** A bundled model's name or a Hugging Face folder. */
  model: modelSchema.optional(),
  baseDtype: z.enum(BASE_DTYPES).optional(),
  k: kSchema.optional(),
  seeds: seedsSchema.optional(),
  text: part.optional(),
  /** Merged over every method's; options of the editor over those of methods that have them. */
  editor: part.optional(),
  training: part.optional(),
  evaluation: part.optional(),
});

export const tuneSchema = z.strictObject({
  path: z.string().regex(/^[A-Za-z0-9.]+$/),
  values: distinct(z.number()),
  edits: z.int().positive().default(50),
});

const methodEntrySchema = z.strictObject({
  /** Another method whose options this one starts from. */
  like: z.string().optional(),
  editor: part.optional(),
  training: part.optional(),
  /**
   * One option, by its path below `editor`, and values of which the best is chosen for every data set and K: by ES − DD
   * of so many edits of the validation split.
   */
  tune: tuneSchema.optional(),
  /** One option, by its path below the method, and its values: a method each. */
  sweep: z
    .record(z.string().regex(/^(editor|training)\.[A-Za-z0-9.]+$/), distinct(z.unknown(), JSON.stringify))
    .refine((sweep) => Object.keys(sweep).length === 1, "expected one option")
    .optional(),
});

/** A suite as it is written: every method × data set × K × seed is a cell. */
export const suiteFileSchema = z.strictObject({
  schemaVersion: z.literal(1).default(1),
  name: z.string().regex(/^[A-Za-z0-9._-]+$/),
  description: z.string().default(""),
  /** What a reader of the report should know of what was run and what was not. */
  notes: z.array(z.string()).default([]),
  model: modelSchema.optional(),
  baseDtype: z.enum(BASE_DTYPES).optional(),
  datasets: distinct(datasetEntrySchema, ({ name }) => name),
  k: kSchema,
  seeds: seedsSchema.default([0]),
  methods: z
    .record(z.string().regex(/^[A-Za-z0-9_-]+$/), methodEntrySchema)
    .refine((methods) => Object.keys(methods).length > 0, "expected at least one method"),
  text: part.optional(),
  evaluation: part.optional(),
  /** Where a folder that the user must provide comes from, for the list of what is missing. */
  sources: z.record(z.string(), z.string()).default({}),
});

export type MethodConfig = z.infer<typeof methodSchema>;
export type TextConfig = z.infer<typeof textSchema>;

/** Where a method stands in a sweep over one option. */
export interface SweepPoint {
  /** The method that was swept. */
  readonly of: string;
  /** Path of the option below the method: `editor.promptLength`. */
  readonly option: string;
  /** The value as text. */
  readonly value: string;
}

/** Values of an option to choose from, by what they do on the validation split. */
export interface Tune {
  /** Path of the option below the method: `editor.editLearningRate`. */
  readonly option: string;
  /** Each with all options of the editor. */
  readonly candidates: readonly { readonly value: number; readonly editor: EditorSpec }[];
  /** Edits each is tried on. */
  readonly edits: number;
}

export interface SuiteMethod {
  readonly config: MethodConfig;
  readonly sweep: SweepPoint | null;
  readonly tune: Tune | null;
}

/** All that holds for one data set of a suite, with nothing left to merge. */
export interface SuiteDataset {
  readonly name: string;
  readonly model: string;
  readonly baseDtype: BaseDtype;
  readonly k: readonly number[];
  readonly seeds: readonly number[];
  readonly text: TextConfig;
  readonly evaluation: EvaluationConfig;
  readonly methods: Readonly<Record<string, SuiteMethod>>;
}

/** A suite with its defaults filled in and every data set's options worked out. */
export interface SuiteConfig {
  readonly schemaVersion: 1;
  readonly name: string;
  readonly description: string;
  readonly notes: readonly string[];
  readonly datasets: readonly SuiteDataset[];
  readonly sources: Readonly<Record<string, string>>;
}
