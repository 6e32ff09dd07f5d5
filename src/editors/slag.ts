import { z } from "zod";
import { CONDITION_TEXT } from "../tokenizers/condition_text.js";
import type { EditorDefinition } from "./registry.js";

const slagSpec = z.strictObject({
  kind: z.literal("slag"),
  /** k: most steps an edit takes; it stops behind the one that makes it right. */
  innerSteps: z.int().positive().default(5),
  /** Bound on what multiplies an update. */
  maxScale: z.number().positive().default(1),
  /** Width of the LSTM that reads an edit, per direction. */
  lstmWidth: z.int().positive().default(128),
  conditionWidth: z.int().positive().default(1024),
  /** Width between the condition and the update of a matrix. */
  conditionerWidth: z.int().positive().default(128),
  /** λ: weights of the terms relative to each other: the edit itself, its in-scope question, and the divergence from
   * the model before the edit on other questions. */
  mainWeight: z.number().positive().default(1),
  paraphraseWeight: z.number().min(0).default(1),
  klWeight: z.number().min(0).default(1),
  /** Out-of-scope questions beside each edit. */
  otherRows: z.int().min(0).default(15),
  /** Whether padding behind their answers is left out of the divergence. */
  klMaskPads: z.boolean().default(true),
  /** r: edits in a row in training, each on top of those before it; at most K. */
  sequentialTrain: z.int().positive().default(10),
  clipNorm: z.number().positive().default(1),
  /** Rows that pass through the model at a time. */
  microBatch: z.int().positive().default(16),
  /** To the network in two stages, or in one graph of everything: the same gradient. */
  hypergradient: z.enum(["two_stage", "create_graph"]).default("two_stage"),
  optimizer: z
    .strictObject({
      kind: z.enum(["adam", "adamw"]).default("adamw"),
      beta1: z.number().min(0).lt(1).default(0.9),
      beta2: z.number().min(0).lt(1).default(0.999),
      epsilon: z.number().positive().default(1e-8),
      weightDecay: z.number().min(0).default(0),
    })
    .prefault({}),
});

export type SlagSpec = z.infer<typeof slagSpec>;

/**
 * A learned optimiser: a network that reads an edit and turns its gradients into updates. Option names are those of the
 * native core; defaults are the authors', decisions in docs/slag.md.
 */
export const slag: EditorDefinition<typeof slagSpec> = {
  kind: "slag",
  title: "SLAG: a learned optimiser takes a few steps an edit, one edit after another",
  spec: slagSpec,
  hasMemory: false,
  trainingDefaults: {
    episodesPerStep: 1,
    learningRate: 3e-4,
    warmupSteps: 0,
    schedule: "linear",
    endFactor: 0,
  },
  isTrained: () => true,
  needsCalibration: () => false,
  models: () => ({}),
  editText: () => ({ reader: { source: "base" }, form: CONDITION_TEXT }),
  trainingSpec: (spec) => spec,
  coreSpec: (spec) => spec,
  useOf: () => ({ variant: "slag", needsGoldEdits: false, leavesGatedOffAlone: false }),
};
