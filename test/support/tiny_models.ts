// Models and batches that are made in a millisecond: no fixture, random weights.
import type { EditRequests, EpisodeBatch, PairRows, Spec, TokenRows } from "../../src/native/addon.js";

export const VOCABULARY = 64;

export const TINY_T5: Spec = {
  model_type: "t5",
  vocab_size: VOCABULARY,
  d_model: 16,
  d_kv: 8,
  d_ff: 32,
  num_layers: 2,
  num_decoder_layers: 2,
  num_heads: 2,
  relative_attention_num_buckets: 8,
  relative_attention_max_distance: 16,
  pad_token_id: 0,
  eos_token_id: 1,
  decoder_start_token_id: 0,
  feed_forward_proj: "relu",
  tie_word_embeddings: true,
};

/** One of each family, with weights large enough for answers that differ. */
export const TINY_BASES: Readonly<Record<string, Spec>> = {
  t5: TINY_T5,
  bart: {
    model_type: "bart",
    vocab_size: VOCABULARY,
    d_model: 24,
    encoder_attention_heads: 3,
    decoder_attention_heads: 2,
    encoder_ffn_dim: 40,
    decoder_ffn_dim: 32,
    encoder_layers: 2,
    decoder_layers: 2,
    max_position_embeddings: 32,
    init_std: 0.3,
    pad_token_id: 0,
    eos_token_id: 1,
  },
  bert: {
    model_type: "bert",
    vocab_size: VOCABULARY,
    hidden_size: 24,
    num_attention_heads: 3,
    intermediate_size: 40,
    num_hidden_layers: 2,
    max_position_embeddings: 32,
    initializer_range: 0.3,
    num_labels: 1,
  },
  distilbert: {
    model_type: "distilbert",
    vocab_size: VOCABULARY,
    dim: 24,
    n_heads: 3,
    hidden_dim: 40,
    n_layers: 2,
    max_position_embeddings: 32,
    initializer_range: 0.3,
    num_labels: 2,
  },
  gpt2: {
    model_type: "gpt2",
    vocab_size: VOCABULARY,
    n_embd: 24,
    n_head: 3,
    n_inner: 40,
    n_layer: 2,
    n_positions: 32,
    initializer_range: 0.3,
    eos_token_id: 1,
  },
};

/** A head of one logit: class ids 0 and 1. */
export const TINY_BERT: Spec = {
  model_type: "bert",
  vocab_size: VOCABULARY,
  hidden_size: 16,
  num_attention_heads: 2,
  intermediate_size: 32,
  num_hidden_layers: 2,
  max_position_embeddings: 24,
  initializer_range: 0.3,
  num_labels: 1,
  pad_token_id: 0,
};

export const TINY_EDITOR: Spec = {
  kind: "seprog",
  seed: 7,
  promptLength: 4,
  hiddenWidth: 12,
  frequentIds: 40,
};

export const TINY_TUNER: Spec = { optimizer: { kind: "adam" }, clipNorm: 1 };

/** Ids 2 … VOCABULARY−1, the same for the same arguments. */
export function tinyRows(rows: number, length: number, seed = 1): TokenRows {
  let state = seed;
  const ids = Int32Array.from({ length: rows * length }, () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return 2 + ((state >> 8) % (VOCABULARY - 2));
  });
  return { ids, lengths: new Int32Array(rows).fill(length) };
}

/** Targets end with the stop token. */
export function tinyPairs(rows: number, length = 6, seed = 1): PairRows {
  const target = tinyRows(rows, 3, seed + 100);
  for (let row = 0; row < rows; row++) target.ids[row * 3 + 2] = 1;
  return { source: tinyRows(rows, length, seed), target };
}

export function tinyEpisodes(edits: number, episodes = 1, length = 6): EpisodeBatch {
  const rows = edits * episodes;
  return {
    episodes,
    edits: tinyPairs(rows, length, 1),
    editText: tinyRows(rows, length, 1),
    inScope: tinyPairs(rows, length, 2),
    outScope: tinyPairs(rows, length, 3),
  };
}

export function tinyRequests(edits: number): EditRequests {
  return {
    edits: tinyPairs(edits),
    editText: tinyRows(edits, 6),
    labels: Array.from({ length: edits }, (_, edit) => `edit ${edit}`),
  };
}

/** Decodes until it is told to stop. */
export const ENDLESS = { maxNewTokens: 1_000_000, stopAtEnd: false } as const;
