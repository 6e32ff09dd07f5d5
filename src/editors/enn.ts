import { z } from "zod";
import { QUESTION_AND_ANSWER } from "../tokenizers/edit_text_form.js";
import { adamOptions } from "./adam_options.js";
import type { EditorDefinition } from "./registry.js";

const ennSpec = z.strictObject({
  kind: z.literal("enn"),
  /** Gradient steps an edit is. */
  innerSteps: z.int().positive().default(1),
  /** a, the learned rate of each edited matrix: where it starts, and the rate it is learned at. */
  innerRate: z.number().default(1e-2),
  innerRateLearningRate: z.number().min(0).default(1e-3),
  /** Through the inner steps in two stages that recompute, or in one graph of everything: the same gradient. */
  hypergradient: z.enum(["two_stage", "create_graph"]).default("two_stage"),
  /** Inner gradients count as constants: no second derivatives. */
  firstOrder: z.boolean().default(false),
  /** Weights of the edited model's loss on in-scope questions, of its divergence from the model before the edit on the
   * others, and of that model's from the base as it was loaded. */
  cEdit: z.number().min(0).default(0.1),
  cLoc: z.number().min(0).default(1),
  cBase: z.number().min(0).default(1),
  clipNorm: z.number().positive().default(100),
  /** Rows that pass through the model at a time. */
  microBatch: z.int().positive().default(16),
  optimizer: adamOptions,
});

export type EnnSpec = z.infer<typeof ennSpec>;

/**
 * Editable neural networks: the base is retrained so that a gradient step edits it. Option names are those of the native
 * core; defaults are the authors', decisions in docs/enn.md.
 */
export const enn: EditorDefinition<typeof ennSpec> = {
  kind: "enn",
  title: "ENN: all weights trained so that one gradient step on the edits edits well",
  spec: ennSpec,
  hasMemory: false,
  trainingDefaults: { episodesPerStep: 10, learningRate: 1e-5, warmupSteps: 0 },
  nestsK: true,
  isTrained: () => true,
  needsCalibration: () => false,
  models: () => ({}),
  editText: () => ({ reader: { source: "base" }, form: QUESTION_AND_ANSWER }),
  trainingSpec: (spec) => spec,
  coreSpec: (spec) => spec,
  useOf: () => ({ variant: "enn", needsGoldEdits: false, leavesGatedOffAlone: false }),
};
