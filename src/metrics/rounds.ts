import { type BootstrapOptions, type Estimate, medianEstimate } from "./bootstrap.js";
import { leastMedianRatio, median, medianRatio } from "./median_ratio.js";
import { studentQuantile } from "./student_t.js";

/**
 * Samples of a cost by round. A round is one process; before the next one others have had their turn. What differs from
 * process to process, or drifts from minute to minute, shows between rounds and never within one.
 */
export type Rounds = readonly (readonly number[])[];

/** Samples in the order they were taken, in rounds of as many each. */
export function inRounds(samples: readonly number[], rounds: number): Rounds {
  const size = samples.length / rounds;
  return Array.from({ length: rounds }, (_, round) => samples.slice(round * size, (round + 1) * size));
}

/**
 * Median of all samples. With several rounds its interval is Student's, over the logarithms of the rounds' medians, and n
 * the number of rounds; with one it is a bootstrap over samples.
 * @returns null without samples
 */
export function medianOverRounds(rounds: Rounds, options?: BootstrapOptions): Estimate | null {
  const all = rounds.flat();
  const medians = rounds.map(median);
  // A phase that takes no time has no logarithm.
  const isPositive = medians.every((middle) => middle > 0);
  return rounds.length > 1 && isPositive
    ? aroundRatio(median(all), medians, options)
    : medianEstimate(all, options);
}

/**
 * Median of `numerator` / median of `denominator`, both measured in the same rounds: a round's ratio is of processes that ran
 * minutes apart, so what drifts more slowly falls out of it. Interval as of `medianOverRounds`.
 * @returns null without samples, or where the ratio is not finite
 */
export const ratioOverRounds = (
  numerator: Rounds,
  denominator: Rounds,
  options?: BootstrapOptions,
): Estimate | null => leastRatioOverRounds([numerator], denominator, options);

/** The same for the least of several medians, chosen anew in every round. */
export function leastRatioOverRounds(
  numerators: readonly Rounds[],
  denominator: Rounds,
  options?: BootstrapOptions,
): Estimate | null {
  const isPaired = numerators.every(({ length }) => length === denominator.length);
  if (!isPaired || denominator.length < 2)
    return leastMedianRatio(
      numerators.map((rounds) => rounds.flat()),
      denominator.flat(),
      options,
    );
  const least = Math.min(...numerators.map((rounds) => median(rounds.flat())));
  const value = least / median(denominator.flat());
  if (!Number.isFinite(value)) return null;
  const ratios = denominator.map(
    (samples, round) =>
      Math.min(...numerators.map((rounds) => median(rounds[round] ?? []))) / median(samples),
  );
  return aroundRatio(value, ratios, options);
}

/**
 * Median of `after` / median of `before` of two runs, whose rounds have nothing to do with each other: Student's interval for the
 * difference of two means of logarithms.
 * @returns null without samples, or where the ratio is not finite
 */
export function changeOverRounds(
  after: Rounds,
  before: Rounds,
  options: BootstrapOptions = {},
): Estimate | null {
  if (after.length < 2 || before.length < 2) return medianRatio(after.flat(), before.flat(), options);
  const value = median(after.flat()) / median(before.flat());
  if (!Number.isFinite(value)) return null;
  const sides = [after, before].map((rounds) => rounds.map(logMedian));
  const degrees = after.length + before.length - 2;
  const pooled = sides.reduce((sum, logs) => sum + squaredDeviations(logs), 0) / degrees;
  const spread = Math.sqrt(pooled * (1 / after.length + 1 / before.length));
  return between(value, spread, degrees, Math.min(after.length, before.length), options);
}

const logMedian = (samples: readonly number[]): number => Math.log(median(samples));

/** Student's interval over the rounds' own values, laid around the value of all samples. */
function aroundRatio(value: number, ofRounds: readonly number[], options?: BootstrapOptions): Estimate {
  const n = ofRounds.length;
  const spread = Math.sqrt(squaredDeviations(ofRounds.map(Math.log)) / (n - 1) / n);
  return between(value, spread, n - 1, n, options);
}

function between(
  value: number,
  spread: number,
  degrees: number,
  n: number,
  { level = 0.95 }: BootstrapOptions = {},
): Estimate {
  const reach = Math.exp(studentQuantile((1 + level) / 2, degrees) * spread);
  return { value, low: value / reach, high: value * reach, n };
}

function squaredDeviations(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
}
