import { Rng } from "../data/random.js";
import { type BootstrapOptions, type Estimate, quantile } from "./bootstrap.js";
import { studentQuantile } from "./student_t.js";

/** Units that are resampled among themselves: the episodes of one data set and K. */
export interface Stratum {
  readonly values: readonly number[];
  /** Of its mean in the whole; weights are used as they are. */
  readonly weight: number;
}

/** Σ weight × mean of each stratum. */
export function meanOfStrata(
  strata: readonly Stratum[],
  meanOf: (values: readonly number[]) => number = mean,
): number {
  return strata.reduce((sum, { values, weight }) => sum + weight * meanOf(values), 0);
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/**
 * Σ weight × mean of each stratum, with the percentile bootstrap interval over the units within strata; n is the number
 * of units.
 * @returns null without strata, or where one of them is empty
 */
export function stratifiedMean(
  strata: readonly Stratum[],
  { resamples = 1000, level = 0.95, seed = 0 }: BootstrapOptions = {},
): Estimate | null {
  if (strata.length === 0 || strata.some(({ values }) => values.length === 0)) return null;
  const rng = Rng.fromSeed(seed);
  const drawnMean = (values: readonly number[]): number => {
    let sum = 0;
    for (let i = 0; i < values.length; i++) sum += values[rng.int(values.length)] ?? 0;
    return sum / values.length;
  };
  const sorted = Float64Array.from({ length: resamples }, () => meanOfStrata(strata, drawnMean)).sort();
  const tail = (1 - level) / 2;
  return {
    value: meanOfStrata(strata),
    low: quantile(sorted, tail),
    high: quantile(sorted, 1 - tail),
    n: strata.reduce((sum, { values }) => sum + values.length, 0),
  };
}

/** What a figure can be. */
export interface Range {
  readonly least: number;
  readonly most: number;
}

export const SHARE: Range = { least: 0, most: 1 };
export const DIFFERENCE_OF_SHARES: Range = { least: -1, most: 1 };

/**
 * Mean of a figure over seeds with Student's 95 % interval, which ends where the figure's range does; null for fewer than
 * two seeds.
 */
export function meanOverSeeds(values: readonly number[], { least, most }: Range): Estimate | null {
  const n = values.length;
  if (n < 2) return null;
  const value = mean(values);
  const variance = values.reduce((sum, one) => sum + (one - value) ** 2, 0) / (n - 1);
  const half = studentQuantile(0.975, n - 1) * Math.sqrt(variance / n);
  return { value, low: Math.max(least, value - half), high: Math.min(most, value + half), n };
}
