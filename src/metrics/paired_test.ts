import { Rng } from "../data/random.js";
import { meanOfStrata, type Stratum } from "./stratified.js";

export interface SignFlipOptions {
  readonly draws?: number;
  readonly seed?: number;
}

/**
 * Paired randomisation test: how likely so large a |Σ weight × mean of differences| is if each difference might as well
 * have the other sign (Fisher, Pitman). Two-sided; at least 1 / (draws + 1). The same strata give the same value.
 * @param strata differences of two methods on the same episodes
 * @returns null where a stratum is empty
 */
export function signFlipTest(
  strata: readonly Stratum[],
  { draws = 4000, seed = 0 }: SignFlipOptions = {},
): number | null {
  if (strata.length === 0 || strata.some(({ values }) => values.length === 0)) return null;
  const shares = Float64Array.from(
    strata.flatMap(({ values, weight }) => values.map((value) => (weight * value) / values.length)),
  ).filter((share) => share !== 0);
  // Sums in another order differ in their last bits: what is as large must count as such.
  const observed = Math.abs(meanOfStrata(strata)) * (1 - 1e-9);
  const rng = Rng.fromSeed(seed);
  let asLarge = 0;
  for (let draw = 0; draw < draws; draw++) {
    let sum = 0;
    let bits = 0;
    for (let i = 0; i < shares.length; i++) {
      if (i % 32 === 0) bits = rng.next();
      sum += bits & 1 ? (shares[i] ?? 0) : -(shares[i] ?? 0);
      bits >>>= 1;
    }
    if (Math.abs(sum) >= observed) asLarge += 1;
  }
  return (asLarge + 1) / (draws + 1);
}

/** p values of a family of tests, corrected for their number (Holm): below α none is false with probability 1 − α. */
export function holm(values: readonly number[]): number[] {
  const order = [...values.keys()].sort((a, b) => (values[a] ?? 0) - (values[b] ?? 0));
  const corrected = values.map(() => 1);
  let highest = 0;
  order.forEach((index, rank) => {
    highest = Math.max(highest, Math.min(1, (values[index] ?? 1) * (values.length - rank)));
    corrected[index] = highest;
  });
  return corrected;
}
