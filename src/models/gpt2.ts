import { z } from "zod";
import type { ModelFamily } from "./registry.js";

const gpt2Shape = z.strictObject({
  family: z.literal("gpt2"),
  /** d: width of embeddings and hidden states. */
  hiddenWidth: z.int().positive().default(768),
  /** Must divide hiddenWidth. */
  heads: z.int().positive().default(12),
  feedForwardWidth: z.int().positive().default(3072),
  layers: z.int().positive().default(6),
  /** Longest row: prompt, source and answer together. */
  maxPositions: z.int().positive().default(1024),
  initialDeviation: z.number().positive().default(0.02),
});

/** GPT-2 (models.md section 7). Defaults are distilgpt2's. */
export const gpt2: ModelFamily<typeof gpt2Shape> = {
  family: "gpt2",
  shape: gpt2Shape,
  toHuggingFace: (shape, tokens) => ({
    architectures: ["GPT2LMHeadModel"],
    model_type: "gpt2",
    vocab_size: tokens.vocabulary,
    n_embd: shape.hiddenWidth,
    n_head: shape.heads,
    n_inner: shape.feedForwardWidth,
    n_layer: shape.layers,
    n_positions: shape.maxPositions,
    activation_function: "gelu_new",
    layer_norm_epsilon: 1e-5,
    initializer_range: shape.initialDeviation,
    attn_pdrop: 0,
    embd_pdrop: 0,
    resid_pdrop: 0,
    bos_token_id: tokens.stopId,
    eos_token_id: tokens.stopId,
    pad_token_id: tokens.padId,
  }),
};
