import { z } from "zod";
import { SEPARATED_WORDS } from "../tokenizers/router_texts.js";
import { adamOptions } from "./adam_options.js";
import { modelSourceSchema } from "./model_source.js";
import type { EditorDefinition, EditorUse } from "./registry.js";

const seracSpec = z.strictObject({
  kind: z.literal("serac"),
  /** How an input and an edit are compared: each encoded by itself, or both read as one text. */
  scopeClassifier: z.enum(["embedding", "cross_attention"]).default("embedding"),
  /** Where the scope classifier starts: a BERT or DistilBERT. The base is none unless it is one itself. */
  classifier: modelSourceSchema.prefault({ source: "base" }),
  /** Where the model starts that answers behind an edit: one of the base's family and vocabulary, or the base itself. */
  counterfactual: modelSourceSchema.prefault({ source: "base" }),
  /** c_e: weight of the counterfactual model's loss. */
  cEdit: z.number().min(0).default(0.1),
  /** c_loc: weight of the scope classifier's loss. */
  cLoc: z.number().min(0).default(1),
  /** An input is in scope above this similarity. */
  threshold: z.number().gt(0).lt(1).default(0.5),
  /** Whether every out-of-scope input of an episode is a negative of every edit, not just of the one at its place. */
  useAllNegatives: z.boolean().default(false),
  /** Whether both models' answers are mixed by the similarity. */
  softWeighting: z.boolean().default(false),
  clipNorm: z.number().positive().default(100),
  /** Rows a pass: what the peak of memory depends on. */
  microBatch: z.int().min(1).default(16),
  optimizer: adamOptions,
});

export type SeracSpec = z.infer<typeof seracSpec>;

function variantOf({ scopeClassifier, softWeighting }: SeracSpec): string {
  if (softWeighting) return "softgate";
  return scopeClassifier === "embedding" ? "serac" : "crossattention";
}

const useOf = (spec: SeracSpec): EditorUse => ({
  variant: variantOf(spec),
  needsGoldEdits: false,
  leavesGatedOffAlone: !spec.softWeighting,
});

/** Edits as text, a scope classifier and a counterfactual model; defaults are the authors' (docs/serac.md). */
export const serac: EditorDefinition<typeof seracSpec> = {
  kind: "serac",
  title: "SERAC: edits as text, routed to a counterfactual model",
  spec: seracSpec,
  hasMemory: false,
  trainingDefaults: { learningRate: 1e-5, warmupSteps: 0, episodesPerStep: 10, selfShare: 0.5 },
  isTrained: () => true,
  needsCalibration: () => false,
  models: ({ classifier, counterfactual }) => ({ classifier, counterfactual }),
  editText: ({ classifier }) => ({ reader: classifier, form: SEPARATED_WORDS }),
  counterfactual: ({ counterfactual }) => counterfactual,
  trainingSpec: (spec) => ({ ...spec, threshold: 0.5, softWeighting: false }),
  coreSpec: (spec) => spec,
  useOf,
};
