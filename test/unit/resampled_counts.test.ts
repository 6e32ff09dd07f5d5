import { describe, expect, it } from "vitest";
import { Rng } from "../../src/data/random.js";
import { resampledCounts } from "../../src/metrics/resampled_counts.js";

/** The definition: n draws with replacement for each resample, one stream of random numbers for all. */
function drawn(n: number, resamples: number, seed: number): number[][] {
  const rng = Rng.fromSeed(seed);
  return Array.from({ length: resamples }, () => {
    const counts = new Array<number>(n).fill(0);
    for (let i = 0; i < n; i++) {
      const at = rng.int(n);
      counts[at] = (counts[at] ?? 0) + 1;
    }
    return counts;
  });
}

const taken = (n: number, resamples: number, seed: number): number[][] =>
  Array.from(resampledCounts(n, resamples, seed), (counts) => [...counts]);

describe("resampledCounts", () => {
  it("gives the same counts again, whatever was drawn between", () => {
    expect(taken(7, 20, 3)).toEqual(drawn(7, 20, 3));
    expect(taken(7, 20, 3)).toEqual(drawn(7, 20, 3));
    expect(taken(8, 20, 3)).toEqual(drawn(8, 20, 3));
    expect(taken(7, 20, 4)).toEqual(drawn(7, 20, 4));
    expect(taken(7, 21, 3)).toEqual(drawn(7, 21, 3));
    expect(taken(7, 20, 3)).toEqual(drawn(7, 20, 3));
  });

  it("draws counts that are too many to keep as it draws others", () => {
    const [n, resamples] = [70_000, 61];
    let sum = 0;
    let first: number[] | undefined;
    for (const counts of resampledCounts(n, resamples, 0)) {
      first ??= [...counts];
      sum += counts.reduce((total, count) => total + count, 0);
    }
    expect(first).toEqual(drawn(n, 1, 0)[0]);
    expect(sum).toBe(n * resamples);
  });

  it("counts every unit and nothing else", () => {
    for (const counts of taken(5, 50, 1)) expect(counts.reduce((sum, count) => sum + count, 0)).toBe(5);
  });
});
