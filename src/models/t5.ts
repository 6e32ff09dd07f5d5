import { z } from "zod";
import type { ModelFamily } from "./registry.js";

const t5Shape = z.strictObject({
  family: z.literal("t5"),
  /** d: width of embeddings and hidden states. */
  hiddenWidth: z.int().positive().default(512),
  /** Width of one attention head (`d_kv`); heads × headWidth may differ from hiddenWidth. */
  headWidth: z.int().positive().default(64),
  heads: z.int().positive().default(8),
  feedForwardWidth: z.int().positive().default(2048),
  feedForward: z.enum(["relu", "gated-gelu"]).default("relu"),
  encoderLayers: z.int().positive().default(6),
  decoderLayers: z.int().positive().default(6),
  /** v1.0 shares the head with the embedding table and scales it; v1.1 has a head of its own. */
  tiedHead: z.boolean().default(true),
  relativeBuckets: z.int().positive().default(32),
  relativeMaxDistance: z.int().positive().default(128),
});

/** T5 v1.0 and v1.1 (models.md section 4). Defaults are t5-small's. */
export const t5: ModelFamily<typeof t5Shape> = {
  family: "t5",
  shape: t5Shape,
  toHuggingFace: (shape, tokens) => ({
    architectures: ["T5ForConditionalGeneration"],
    model_type: "t5",
    vocab_size: tokens.vocabulary,
    d_model: shape.hiddenWidth,
    d_kv: shape.headWidth,
    d_ff: shape.feedForwardWidth,
    num_heads: shape.heads,
    num_layers: shape.encoderLayers,
    num_decoder_layers: shape.decoderLayers,
    feed_forward_proj: shape.feedForward,
    tie_word_embeddings: shape.tiedHead,
    relative_attention_num_buckets: shape.relativeBuckets,
    relative_attention_max_distance: shape.relativeMaxDistance,
    layer_norm_epsilon: 1e-6,
    initializer_factor: 1,
    dropout_rate: 0,
    is_encoder_decoder: true,
    pad_token_id: tokens.padId,
    eos_token_id: tokens.stopId,
    decoder_start_token_id: tokens.padId,
  }),
};
