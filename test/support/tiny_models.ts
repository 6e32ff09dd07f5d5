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
