import { z } from "zod";
import { QUESTION_AND_ANSWER } from "../tokenizers/edit_text_form.js";
import { modelSourceSchema } from "./model_source.js";
import type { EditorDefinition } from "./registry.js";

const nearestSpec = z.strictObject({
  kind: z.literal("nearest"),
  /** Whose mean-pooled states questions and edits are compared by. */
  encoder: modelSourceSchema.prefault({ source: "base" }),
  /** A question with a cosine of at most this to every edit is left alone; −1: every question gets its nearest edit. */
  threshold: z.number().min(-1).max(1).default(-1),
  /** Texts that pass through the encoder at a time. */
  microBatch: z.int().positive().default(16),
});

export type NearestSpec = z.infer<typeof nearestSpec>;

/** What retrieval and a prompt achieve with the frozen base and nothing trained (docs/simple-baselines.md). */
export const nearest: EditorDefinition<typeof nearestSpec> = {
  kind: "nearest",
  title: "Nearest: the nearest edit is put before the question, the frozen base answers",
  spec: nearestSpec,
  hasMemory: false,
  trainingDefaults: {},
  isTrained: () => false,
  needsCalibration: () => false,
  models: ({ encoder }) => ({ encoder }),
  editText: ({ encoder }) => ({ reader: encoder, form: QUESTION_AND_ANSWER }),
  counterfactual: () => ({ source: "base" }),
  trainingSpec: (spec) => spec,
  coreSpec: (spec) => spec,
  useOf: () => ({ variant: "nearest", needsGoldEdits: false, leavesGatedOffAlone: true }),
};
