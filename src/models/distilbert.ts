import { z } from "zod";
import type { ModelFamily } from "./registry.js";

const distilbertShape = z.strictObject({
  family: z.literal("distilbert"),
  /** d: width of embeddings and hidden states. */
  hiddenWidth: z.int().positive().default(768),
  /** Must divide hiddenWidth. */
  heads: z.int().positive().default(12),
  feedForwardWidth: z.int().positive().default(3072),
  layers: z.int().positive().default(6),
  /** Longest input, prompt rows included. */
  maxPositions: z.int().positive().default(512),
  initialDeviation: z.number().positive().default(0.02),
});

/** DistilBERT with a head of two classes (models.md section 6). Defaults are distilbert-base-cased's. */
export const distilbert: ModelFamily<typeof distilbertShape> = {
  family: "distilbert",
  shape: distilbertShape,
  toHuggingFace: (shape, tokens) => ({
    architectures: ["DistilBertForSequenceClassification"],
    model_type: "distilbert",
    vocab_size: tokens.vocabulary,
    dim: shape.hiddenWidth,
    n_heads: shape.heads,
    hidden_dim: shape.feedForwardWidth,
    n_layers: shape.layers,
    max_position_embeddings: shape.maxPositions,
    sinusoidal_pos_embds: false,
    activation: "gelu",
    num_labels: 2,
    initializer_range: shape.initialDeviation,
    dropout: 0,
    attention_dropout: 0,
    seq_classif_dropout: 0,
    pad_token_id: tokens.padId,
  }),
};
