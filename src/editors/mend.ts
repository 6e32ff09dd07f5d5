import { z } from "zod";
import { QUESTION_AND_ANSWER } from "../tokenizers/edit_text_form.js";
import { adamOptions } from "./adam_options.js";
import type { EditorDefinition } from "./registry.js";

const mendSpec = z.strictObject({
  kind: z.literal("mend"),
  /** Weights of the edited model's loss on in-scope questions and of its divergence on the others. */
  cEdit: z.number().min(0).default(0.1),
  cLoc: z.number().min(0).default(1),
  /** α, the learned rate of each edited matrix: where it starts, and the rate it is learned at. */
  alphaInit: z.number().default(1e-4),
  alphaLearningRate: z.number().min(0).default(1e-4),
  clipNorm: z.number().positive().default(100),
  /** Of the networks' matrices; at most their width. */
  rank: z.int().positive().default(1920),
  /** Rows that pass through the model at a time. */
  microBatch: z.int().positive().default(16),
  /** Activations of the networks, in MiB, that a step keeps instead of computing them twice. */
  keepMiB: z.int().min(0).default(64),
  /** In stages that recompute, or through one graph of everything: the same gradient. */
  hypergradient: z.enum(["two_stage", "create_graph"]).default("two_stage"),
  /** Whether matrices of one shape share a network; else each has its own, without modes. */
  shared: z.boolean().default(true),
  /** Whether factors are normalised by running statistics. */
  norm: z.boolean().default(true),
  /** W − α∇̃W; false: plus, as the authors' first code has it. */
  descent: z.boolean().default(true),
  /** Networks start as the identity, or at random and without a residual. */
  init: z.enum(["identity", "xavier"]).default("identity"),
  /** How V is drawn where the start is the identity. */
  projectionDraw: z.enum(["normal", "xavier"]).default("normal"),
  /** What networks transform: both factors as one vector, each apart, or one of them alone. */
  transform: z.enum(["combined", "separate", "x_only", "delta_only", "one_sided"]).default("combined"),
  /**
   * Of the loss whose gradient an edit starts from: over K edits, the mean, whose gradients shrink as K grows and which
   * ties an editor to the K it was trained at, or the sum (ours), which does not.
   */
  reduction: z.enum(["mean", "sum"]).default("mean"),
  optimizer: adamOptions,
});

export type MendSpec = z.infer<typeof mendSpec>;

/**
 * Editor networks on the factors of the fine-tuning gradient. Option names are those of the native core; defaults are the
 * paper's, decisions in docs/mend.md.
 */
export const mend: EditorDefinition<typeof mendSpec> = {
  kind: "mend",
  title: "MEND: editor networks turn an edit's gradient into one update of a few matrices",
  spec: mendSpec,
  hasMemory: false,
  trainingDefaults: { episodesPerStep: 10, learningRate: 1e-6, warmupSteps: 0 },
  isTrained: () => true,
  needsCalibration: () => false,
  models: () => ({}),
  editText: () => ({ reader: { source: "base" }, form: QUESTION_AND_ANSWER }),
  trainingSpec: (spec) => spec,
  coreSpec: (spec) => spec,
  useOf: () => ({ variant: "mend", needsGoldEdits: false, leavesGatedOffAlone: false }),
};
