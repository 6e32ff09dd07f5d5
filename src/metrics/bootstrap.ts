import { resampledCounts } from "./resampled_counts.js";

/** An estimate with its percentile bootstrap interval; n is the number of resampled units. */
export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly n: number;
}

export interface BootstrapOptions {
  readonly resamples?: number;
  /** Confidence level of the interval. */
  readonly level?: number;
  readonly seed?: number;
}

/**
 * A statistic of units drawn `counts[i]` times each; NaN where the draw leaves it undefined.
 * Called with all ones for the estimate itself.
 */
export type WeightedStatistic = (counts: Uint32Array) => number;

/** Linear interpolation between order statistics; `sorted` ascending and not empty, share in [0, 1]. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  const at = share * (sorted.length - 1);
  const below = Math.floor(at);
  const low = sorted[below] ?? Number.NaN;
  const high = sorted[Math.min(below + 1, sorted.length - 1)] ?? Number.NaN;
  return low + (high - low) * (at - below);
}

/**
 * Percentile bootstrap over n units (Efron): the same units, options and seed give the same interval, bit for bit.
 * @returns null if the statistic is undefined on the units themselves
 */
export function bootstrap(
  n: number,
  statistic: WeightedStatistic,
  { resamples = 1000, level = 0.95, seed = 0 }: BootstrapOptions = {},
): Estimate | null {
  const value = n === 0 ? Number.NaN : statistic(new Uint32Array(n).fill(1));
  if (Number.isNaN(value)) return null;
  const drawn: number[] = [];
  for (const counts of resampledCounts(n, resamples, seed)) {
    const estimate = statistic(counts);
    if (!Number.isNaN(estimate)) drawn.push(estimate);
  }
  const sorted = Float64Array.from(drawn).sort();
  const tail = (1 - level) / 2;
  return { value, low: quantile(sorted, tail), high: quantile(sorted, 1 - tail), n };
}

/** Median of samples with its bootstrap interval; null without samples. */
export function medianEstimate(samples: readonly number[], options?: BootstrapOptions): Estimate | null {
  const order = [...samples.keys()].sort((a, b) => (samples[a] ?? 0) - (samples[b] ?? 0));
  return bootstrap(
    samples.length,
    (counts) => {
      const drawn: number[] = [];
      for (const i of order) for (let k = counts[i] ?? 0; k > 0; k--) drawn.push(samples[i] ?? 0);
      return quantile(drawn, 0.5);
    },
    options,
  );
}
