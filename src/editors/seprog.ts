import { z } from "zod";
import type { EditorDefinition } from "./registry.js";

const seprogSpec = z.strictObject({
  kind: z.literal("seprog"),
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
   * and its edit agree from the first step on (ours, not the paper's; needs an edit encoder as wide as the base's).
   */
  projectionStart: z.enum(["default", "whitened"]).default("default"),
  scopeHead: z.enum(["three_layer", "two_layer"]).default("three_layer"),
  promptReduction: z.enum(["token", "sequence"]).default("token"),
  /** Factor on the prompt decoder's initial output weights. */
  promptInitScale: z.number().positive().default(1),
  /** Initial prompt vectors are drawn from the embeddings of this many most frequent ids. */
  frequentIds: z.int().positive().default(5000),
  promptPositions: z.enum(["concat"]).default("concat"),
  clipNorm: z.number().positive().default(5),
  optimizer: z
    .strictObject({
      beta1: z.number().min(0).lt(1).default(0.9),
      beta2: z.number().min(0).lt(1).default(0.999),
      epsilon: z.number().positive().default(1e-8),
    })
    .prefault({}),
  /** Where the edit encoder starts: a copy of the base's encoder, or the encoder of another model folder. */
  editEncoder: z
    .discriminatedUnion("source", [
      z.strictObject({ source: z.literal("base") }),
      z.strictObject({ source: z.literal("directory"), path: z.string().min(1) }),
    ])
    .prefault({ source: "base" }),
});

export type SeprogSpec = z.infer<typeof seprogSpec>;

/**
 * Semi-parametric prompt generation. Option names are those of the native core; defaults are the paper's (section 5.3
 * and appendix B), decisions [R1]–[R19] in docs/seprog.md.
 */
export const seprog: EditorDefinition<typeof seprogSpec> = {
  kind: "seprog",
  title: "SEPROG: generated prefix prompts, edits as rows of a memory",
  spec: seprogSpec,
  hasMemory: true,
};
