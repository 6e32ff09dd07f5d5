import type { RecipeConfig } from "../config/recipe.js";
import { mixSeed, Rng } from "../data/random.js";
import type { PairRows } from "../native/addon.js";
import { packRows } from "../tokenizers/token_rows.js";
import type { Examined, PretrainingTask } from "./pretraining_task.js";

/** Rows of a call when perplexity is measured. */
const EXAMINED_ROWS = 64;

/** Windows examined while training goes on. */
const PROBE_WINDOWS = 128;

/** A text as ids, its passages joined; windows are cut from it. */
export type TokenStream = Int32Array;

/**
 * Teaches a language model: a pass shows every window of the stream once, from a start that moves between passes. A
 * window's first token is the source, all others are targets.
 */
export function languageTask(
  train: TokenStream,
  validation: TokenStream,
  { training, seed }: RecipeConfig,
  windowTokens: number,
): PretrainingTask {
  // The start moves by less than a window: that much of the stream is not shown in a pass.
  const windowCount = Math.max(1, Math.floor(train.length / windowTokens) - 1);
  let pass = -1;
  let order: number[] = [];
  let offset = 0;
  const windowAt = (position: number): Int32Array => {
    const wanted = Math.floor(position / windowCount);
    if (wanted !== pass) {
      const rng = Rng.fromSeed(mixSeed(seed, wanted, 3));
      order = rng.shuffle([...Array(windowCount).keys()]);
      offset = Math.floor(rng.unit() * windowTokens);
      pass = wanted;
    }
    const from = offset + (order[position % windowCount] ?? 0) * windowTokens;
    return train.subarray(from, from + windowTokens);
  };
  const probes = windowsOf(validation, windowTokens).slice(0, PROBE_WINDOWS);
  return {
    itemCount: windowCount,
    batch: async (index) =>
      continuationRows(
        Array.from({ length: training.batchSize }, (_, row) => windowAt(index * training.batchSize + row)),
      ),
    examine: async (model, options) => ({ perplexity: (await perplexityOf(model, probes, options)).value }),
  };
}

/** Windows that follow one another; the rest at the end is left out. */
export function windowsOf(stream: TokenStream, windowTokens: number): Int32Array[] {
  return Array.from({ length: Math.floor(stream.length / windowTokens) }, (_, i) =>
    stream.subarray(i * windowTokens, (i + 1) * windowTokens),
  );
}

function continuationRows(windows: readonly Int32Array[]): PairRows {
  return {
    source: packRows(windows.map((window) => window.subarray(0, 1))),
    target: packRows(windows.map((window) => window.subarray(1))),
  };
}

export interface Perplexity {
  /** exp of the mean −ln p over the tokens, each given the ones before it in its window. */
  readonly value: number;
  readonly tokens: number;
}

export async function perplexityOf(
  model: Examined,
  windows: readonly Int32Array[],
  options: { readonly signal?: AbortSignal } = {},
): Promise<Perplexity> {
  let negLogLik = 0;
  let tokens = 0;
  for (let from = 0; from < windows.length; from += EXAMINED_ROWS) {
    const batch = continuationRows(windows.slice(from, from + EXAMINED_ROWS));
    const { rowLoss } = await model.score(batch, options);
    for (const loss of rowLoss) negLogLik += loss;
    tokens += batch.target.ids.length;
  }
  return { value: Math.exp(negLogLik / tokens), tokens };
}
