import { type BootstrapOptions, bootstrap, type Estimate } from "./bootstrap.js";
import type { EditOutcome } from "./outcomes.js";

/** An edit's contribution to Σ numerator / Σ denominator. */
export interface Ratio {
  readonly numerator: number;
  readonly denominator: number;
}

/** What an item adds to a share: 1 or 0; null where it is not known. */
export const shareOf = (value: boolean | null): number | null => (value === null ? null : Number(value));

/** Σ numerator / Σ denominator with edits as the resampled units; null if nothing contributes. */
export function ratioEstimate(
  ratios: readonly Ratio[],
  options: BootstrapOptions | undefined,
): Estimate | null {
  const numerators = Float64Array.from(ratios, (ratio) => ratio.numerator);
  const denominators = Float64Array.from(ratios, (ratio) => ratio.denominator);
  const contributing = denominators.reduce((count, denominator) => count + (denominator > 0 ? 1 : 0), 0);
  const estimate = bootstrap(
    ratios.length,
    (counts) => {
      let numerator = 0;
      let denominator = 0;
      for (let i = 0; i < counts.length; i++) {
        const count = counts[i] ?? 0;
        numerator += count * (numerators[i] ?? 0);
        denominator += count * (denominators[i] ?? 0);
      }
      return numerator / denominator;
    },
    options,
  );
  return estimate && { ...estimate, n: contributing };
}

/**
 * Mean over the items of an episode, then over episodes (metrics.md §2): an item of an episode with m items weighs 1/m.
 * @param items the values of an edit's items, each in [0, 1] or any number; null where one is not known, and then the
 *   mean is not either
 */
export function episodeMean<Edit extends Pick<EditOutcome, "episode"> = EditOutcome>(
  edits: readonly Edit[],
  items: (edit: Edit) => readonly (number | null)[],
  options?: BootstrapOptions,
): Estimate | null {
  const values = allKnown(edits.map(items));
  if (values === null) return null;
  const itemsOfEpisode = new Map<number, number>();
  edits.forEach(({ episode }, i) => {
    itemsOfEpisode.set(episode, (itemsOfEpisode.get(episode) ?? 0) + (values[i]?.length ?? 0));
  });
  const ratios = edits.map(({ episode }, i) => {
    const weight = 1 / (itemsOfEpisode.get(episode) || 1);
    const own = values[i] ?? [];
    return {
      numerator: weight * own.reduce((sum, value) => sum + value, 0),
      denominator: weight * own.length,
    };
  });
  return ratioEstimate(ratios, options);
}

/** The same values; null where one of them is not known. */
function allKnown(values: readonly (readonly (number | null)[])[]): number[][] | null {
  const known = values.map((own) => own.filter((value) => value !== null));
  return known.every((own, i) => own.length === values[i]?.length) ? known : null;
}

/**
 * Mean over the items of each episode, episode by episode; null where it has none, or one that is not known.
 * `episodeMean` is their mean.
 */
export function meansOfEpisodes(
  edits: readonly EditOutcome[],
  items: (edit: EditOutcome) => readonly (number | null)[],
): (number | null)[] {
  const sums: { sum: number; count: number }[] = [];
  for (const edit of edits) {
    const known = sums[edit.episode] ?? { sum: 0, count: 0 };
    for (const value of items(edit)) {
      known.sum += value ?? Number.NaN;
      known.count += 1;
    }
    sums[edit.episode] = known;
  }
  return Array.from(sums, (known) =>
    known === undefined || known.count === 0 || Number.isNaN(known.sum) ? null : known.sum / known.count,
  );
}

/**
 * A sum per token over all items of all edits (metrics.md §3: tokens weigh alike, not sequences); null where one is not
 * known.
 */
export function tokenMean<Item extends { readonly tokens: number | null }>(
  edits: readonly EditOutcome[],
  items: (edit: EditOutcome) => readonly Item[],
  sumOf: (item: Item) => number | null,
  options?: BootstrapOptions,
): Estimate | null {
  const sums = allKnown(edits.map((edit) => items(edit).map(sumOf)));
  const tokens = allKnown(edits.map((edit) => items(edit).map((item) => item.tokens)));
  if (sums === null || tokens === null) return null;
  const total = (values: readonly number[] = []): number => values.reduce((sum, value) => sum + value, 0);
  const ratios = sums.map((own, i) => ({ numerator: total(own), denominator: total(tokens[i]) }));
  return ratioEstimate(ratios, options);
}
