import { z } from "zod";
import type { ModelFamily } from "./registry.js";

const bertShape = z.strictObject({
  family: z.literal("bert"),
  /** d: width of embeddings and hidden states. */
  hiddenWidth: z.int().positive().default(768),
  /** Must divide hiddenWidth. */
  heads: z.int().positive().default(12),
  feedForwardWidth: z.int().positive().default(3072),
  layers: z.int().positive().default(12),
  /** Longest input, prompt rows included. */
  maxPositions: z.int().positive().default(512),
  initialDeviation: z.number().positive().default(0.02),
});

/** BERT with a head of one logit: True iff it is above 0 (models.md section 6). Defaults are bert-base's. */
export const bert: ModelFamily<typeof bertShape> = {
  family: "bert",
  shape: bertShape,
  toHuggingFace: (shape, tokens) => ({
    architectures: ["BertForSequenceClassification"],
    model_type: "bert",
    vocab_size: tokens.vocabulary,
    hidden_size: shape.hiddenWidth,
    num_attention_heads: shape.heads,
    intermediate_size: shape.feedForwardWidth,
    num_hidden_layers: shape.layers,
    max_position_embeddings: shape.maxPositions,
    type_vocab_size: 2,
    hidden_act: "gelu",
    num_labels: 1,
    layer_norm_eps: 1e-12,
    initializer_range: shape.initialDeviation,
    hidden_dropout_prob: 0,
    attention_probs_dropout_prob: 0,
    pad_token_id: tokens.padId,
  }),
};
