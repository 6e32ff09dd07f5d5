import { z } from "zod";
import { QUESTION_AND_ANSWER } from "../tokenizers/edit_text_form.js";
import { adamOptions } from "./adam_options.js";
import { modelSourceSchema } from "./model_source.js";
import type { EditorDefinition, EditorUse } from "./registry.js";

/** What a variant of SEPROG switches off (the paper's section 6.3), and diagnostic variants of ours. */
const VARIANTS = [
  "seprog",
  "finetune",
  "noclassifier",
  "noselect",
  "oraclegate",
  "oracleedit",
  "softgate",
  "noatt",
] as const;

const seprogSpec = z.strictObject({
  kind: z.literal("seprog"),
  variant: z.enum(VARIANTS).default("seprog"),
  /** Variant `finetune`: base weights are trained with the editor, or at every edit on top of a trained editor. */
  finetune: z.enum(["joint", "edit_time"]).default("joint"),
  /** Which of them: the matrices of the last two blocks, or of all. */
  finetuneParameters: z.enum(["last2", "all"]).default("last2"),
  finetuneLearningRate: z.number().min(0).default(1e-5),
  /** Most steps of fine-tuning at one edit. */
  finetuneSteps: z.int().positive().default(100),
  /** p: vectors placed before the decoder's tokens. */
  promptLength: z.int().min(1).max(1024).default(32),
  /** h: width of edit embeddings, scope classifier and prompt decoder. */
  hiddenWidth: z.int().min(1).default(768),
  /** λ: weight of the scope loss; 1 − λ weighs the prompt guidance loss. */
  lambda: z.number().min(0).max(1).default(0.3),
  editPool: z.enum(["mean", "first"]).default("mean"),
  basePool: z.enum(["mean", "first", "last"]).default("mean"),
  editActivation: z.enum(["none", "tanh", "relu"]).default("none"),
  /**
   * Where the projections start: at random, or whitened — computed from a sample of training edits so that an input
   * and its edit agree from the first step on (ours, not the paper's).
   */
  projectionStart: z.enum(["default", "whitened"]).default("default"),
  scopeHead: z.enum(["three_layer", "two_layer"]).default("three_layer"),
  promptReduction: z.enum(["token", "sequence"]).default("token"),
  /** Factor on the prompt decoder's initial output weights. */
  promptInitScale: z.number().positive().default(1),
  /** Initial prompt vectors are drawn from the embeddings of this many most frequent ids. */
  frequentIds: z.int().positive().default(5000),
  /** Whether the prompt takes part in the count of positions, or the tokens keep theirs. */
  promptPositions: z.enum(["concat", "keep"]).default("concat"),
  clipNorm: z.number().positive().default(5),
  optimizer: adamOptions,
  /** Where the edit encoder starts: a copy of the base's encoder, or the encoder of another model folder. */
  editEncoder: modelSourceSchema.prefault({ source: "base" }),
});

export type SeprogSpec = z.infer<typeof seprogSpec>;

/** Variants with weights of their own; the others are SEPROG's trained editor, used in another way. */
function isTrainedApart({ variant, finetune }: SeprogSpec): boolean {
  return (
    variant === "noclassifier" || variant === "noatt" || (variant === "finetune" && finetune === "joint")
  );
}

function trainingSpec(spec: SeprogSpec): SeprogSpec {
  return isTrainedApart(spec) ? spec : { ...spec, variant: "seprog" };
}

function coreSpec({
  variant,
  finetune,
  finetuneParameters,
  finetuneLearningRate,
  finetuneSteps,
  ...shared
}: SeprogSpec): Partial<SeprogSpec> {
  if (variant === "seprog") return shared;
  if (variant !== "finetune") return { ...shared, variant };
  const tuned = { ...shared, variant, finetune, finetuneParameters, finetuneLearningRate };
  return finetune === "edit_time" ? { ...tuned, finetuneSteps } : tuned;
}

function useOf({ variant }: SeprogSpec): EditorUse {
  return {
    variant,
    needsGoldEdits: variant === "oraclegate" || variant === "oracleedit",
    leavesGatedOffAlone: variant === "seprog" || variant === "noatt",
  };
}

/**
 * Semi-parametric prompt generation. Option names are those of the native core; defaults are the paper's (section 5.3
 * and appendix B), decisions [R1]–[R19] in docs/seprog.md.
 */
export const seprog: EditorDefinition<typeof seprogSpec> = {
  kind: "seprog",
  title: "SEPROG: generated prefix prompts, edits as rows of a memory",
  spec: seprogSpec,
  hasMemory: true,
  trainingDefaults: {},
  nestsK: true,
  isTrained: () => true,
  needsCalibration: ({ projectionStart }) => projectionStart === "whitened",
  models: ({ editEncoder }) => ({ editEncoder }),
  editText: ({ editEncoder }) => ({ reader: editEncoder, form: QUESTION_AND_ANSWER }),
  trainingSpec,
  coreSpec,
  useOf,
};
