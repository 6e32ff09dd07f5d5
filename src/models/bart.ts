import { z } from "zod";
import type { ModelFamily } from "./registry.js";

const bartShape = z.strictObject({
  family: z.literal("bart"),
  /** d: width of embeddings and hidden states. */
  hiddenWidth: z.int().positive().default(768),
  /** Must divide hiddenWidth. */
  heads: z.int().positive().default(12),
  feedForwardWidth: z.int().positive().default(3072),
  encoderLayers: z.int().positive().default(6),
  decoderLayers: z.int().positive().default(6),
  /** Longest input and longest answer, prompt rows included. */
  maxPositions: z.int().positive().default(1024),
  initialDeviation: z.number().positive().default(0.02),
});

/** BART (models.md section 5). Defaults are bart-base's. */
export const bart: ModelFamily<typeof bartShape> = {
  family: "bart",
  shape: bartShape,
  toHuggingFace: (shape, tokens) => ({
    architectures: ["BartForConditionalGeneration"],
    model_type: "bart",
    vocab_size: tokens.vocabulary,
    d_model: shape.hiddenWidth,
    encoder_attention_heads: shape.heads,
    decoder_attention_heads: shape.heads,
    encoder_ffn_dim: shape.feedForwardWidth,
    decoder_ffn_dim: shape.feedForwardWidth,
    encoder_layers: shape.encoderLayers,
    decoder_layers: shape.decoderLayers,
    max_position_embeddings: shape.maxPositions,
    activation_function: "gelu",
    init_std: shape.initialDeviation,
    scale_embedding: false,
    dropout: 0,
    attention_dropout: 0,
    activation_dropout: 0,
    is_encoder_decoder: true,
    pad_token_id: tokens.padId,
    eos_token_id: tokens.stopId,
    decoder_start_token_id: tokens.stopId,
  }),
};
