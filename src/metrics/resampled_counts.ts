import { Rng } from "../data/random.js";

/** 16 MiB; more is drawn anew each time. */
const MOST_KEPT = 2 ** 22;

/** What was drawn last: all figures of an evaluation resample the same units, and drawing is most of their time. */
let kept: { readonly key: string; readonly counts: readonly Uint32Array[] } | undefined;

/**
 * How often each of n units is drawn in each of the resamples of n; the same arguments give the same counts.
 * @returns arrays that are valid until the next is taken, and not to be written to
 */
export function resampledCounts(n: number, resamples: number, seed: number): Iterable<Uint32Array> {
  if (n * resamples > MOST_KEPT) return drawCounts(n, resamples, seed, new Uint32Array(n));
  const key = `${n} ${resamples} ${seed}`;
  if (kept?.key !== key) kept = { key, counts: [...drawCounts(n, resamples, seed)] };
  return kept.counts;
}

/** @param into for all of them; default: an array of its own each */
function* drawCounts(n: number, resamples: number, seed: number, into?: Uint32Array): Generator<Uint32Array> {
  const rng = Rng.fromSeed(seed);
  for (let r = 0; r < resamples; r++) {
    const counts = into?.fill(0) ?? new Uint32Array(n);
    for (let i = 0; i < n; i++) {
      const at = rng.int(n);
      counts[at] = (counts[at] ?? 0) + 1;
    }
    yield counts;
  }
}
