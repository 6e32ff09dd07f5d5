import { Rng } from "../data/random.js";
import { type BootstrapOptions, type Estimate, quantile } from "./bootstrap.js";

/**
 * Median of `numerator` / median of `denominator` with its percentile bootstrap interval; either side is resampled by
 * itself, as repetitions of two programs are not paired. n is the smaller number of samples.
 * @returns null without samples, or where the ratio is not finite
 */
export function medianRatio(
  numerator: readonly number[],
  denominator: readonly number[],
  options?: BootstrapOptions,
): Estimate | null {
  return leastMedianRatio([numerator], denominator, options);
}

/**
 * The same for the least of several medians. Which one is least is drawn anew each time, so that the interval holds what
 * choosing the best of several costs.
 */
export function leastMedianRatio(
  numerators: readonly (readonly number[])[],
  denominator: readonly number[],
  { resamples = 1000, level = 0.95, seed = 0 }: BootstrapOptions = {},
): Estimate | null {
  if (numerators.length === 0 || [...numerators, denominator].some((samples) => samples.length === 0))
    return null;
  const value = Math.min(...numerators.map(median)) / median(denominator);
  if (!Number.isFinite(value)) return null;
  const n = Math.min(denominator.length, ...numerators.map((samples) => samples.length));
  // Peaks are often the same in every repetition: no draw can then differ.
  if ([...numerators, denominator].every(isConstant)) return { value, low: value, high: value, n };
  const rng = Rng.fromSeed(seed);
  const buffer = new Float64Array(Math.max(denominator.length, ...numerators.map(({ length }) => length)));
  const drawnMedian = (samples: readonly number[]): number => {
    const drawn = buffer.subarray(0, samples.length);
    for (let i = 0; i < drawn.length; i++) drawn[i] = samples[rng.int(samples.length)] ?? Number.NaN;
    return quantile(drawn.sort(), 0.5);
  };
  const drawn: number[] = [];
  for (let r = 0; r < resamples; r++) {
    const ratio = Math.min(...numerators.map(drawnMedian)) / drawnMedian(denominator);
    if (Number.isFinite(ratio)) drawn.push(ratio);
  }
  const sorted = Float64Array.from(drawn).sort();
  const tail = (1 - level) / 2;
  return { value, low: quantile(sorted, tail), high: quantile(sorted, 1 - tail), n };
}

/** Middle of the samples in order, or the mean of the two in the middle; NaN without any. */
export const median = (samples: readonly number[]): number =>
  quantile(Float64Array.from(samples).sort(), 0.5);

const isConstant = (samples: readonly number[]): boolean => samples.every((sample) => sample === samples[0]);
