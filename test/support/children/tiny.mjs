// What the children share: the built package and a model that takes a millisecond to make.
export { openEngine } from "../../../dist/native/engine.js";

export const config = {
  model_type: "t5",
  vocab_size: 64,
  d_model: 16,
  d_kv: 8,
  d_ff: 32,
  num_layers: 2,
  num_heads: 2,
  relative_attention_num_buckets: 8,
  relative_attention_max_distance: 16,
};

export const pairs = {
  source: { ids: Int32Array.of(5, 6, 7, 8, 9), lengths: Int32Array.of(3, 2) },
  target: { ids: Int32Array.of(10, 1, 11, 1), lengths: Int32Array.of(2, 2) },
};

/** Decodes until it is told to stop. */
export function generateForever(model) {
  return model.generate(pairs.source, { maxNewTokens: 1_000_000, stopAtEnd: false });
}
