import { z } from "zod";
import { QUESTION_AND_ANSWER } from "../tokenizers/edit_text_form.js";
import type { EditorDefinition } from "./registry.js";

/** What tables call fine-tuning that minimises the edits' loss, or keeps other answers as well (docs/ft.md). */
const VARIANTS = { edit: "ft", kl: "ftkl", total: "fttotal" } as const;

const ftSpec = z.strictObject({
  kind: z.literal("ft"),
  /** The edits' loss; with the divergence on one other question a step; or with that on K of them, as SEPROG weighs. */
  objective: z.enum(["edit", "kl", "total"]).default("edit"),
  /** Default: the paper's, 1e-4 for T5 and 1e-6 for the other families. Tune it: no option matters as much. */
  editLearningRate: z.number().positive().nullable().default(null),
  maxSteps: z.int().min(0).default(100),
  clipNorm: z.number().positive().default(100),
  /** Of what is added to each matrix; 0: a matrix of its own. */
  rank: z.int().min(0).default(0),
  /** Of the entries of the first factor, where `rank` is above 0. */
  rankDeviation: z.number().positive().default(0.01),
  /** One edit after the other instead of all as one batch. */
  sequential: z.boolean().default(false),
  /** Ends fitting; default: no limit. */
  timeLimitMs: z.int().min(0).nullable().default(null),
  /** Rows that pass through the model at a time. */
  microBatch: z.int().positive().default(64),
  /** c: weight of the edits' loss beside the divergence of `kl`. */
  editWeight: z.number().min(0).default(0.01),
  /** λ: weight of the divergence of `total`; 1 − λ weighs the edits' loss. */
  lambda: z.number().min(0).max(1).default(0.3),
});

export type FtSpec = z.infer<typeof ftSpec>;

/** Fine-tuning at edit time. Option names are those of the native core; defaults are MEND's, decisions in docs/ft.md. */
export const ft: EditorDefinition<typeof ftSpec> = {
  kind: "ft",
  title: "FT: a few matrices are fine-tuned on the edits themselves",
  spec: ftSpec,
  hasMemory: false,
  trainingDefaults: {},
  isTrained: () => false,
  needsCalibration: () => false,
  models: () => ({}),
  editText: () => ({ reader: { source: "base" }, form: QUESTION_AND_ANSWER }),
  trainingSpec: (spec) => spec,
  coreSpec: ({ editLearningRate, timeLimitMs, ...shared }) => ({
    ...shared,
    ...(editLearningRate !== null && { editLearningRate }),
    ...(timeLimitMs !== null && { timeLimitMs }),
  }),
  useOf: ({ objective }) => ({
    variant: VARIANTS[objective],
    needsGoldEdits: false,
    leavesGatedOffAlone: false,
    needsOutScope: objective !== "edit",
  }),
};
