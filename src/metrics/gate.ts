import { type BootstrapOptions, bootstrap, type Estimate } from "./bootstrap.js";
import { type EditOutcome, headlineItems } from "./outcomes.js";
import { episodeMean, ratioEstimate } from "./ratio.js";

/** Scope logits of an edit's in-scope and out-of-scope questions, hard ones too; empty for editors without a gate. */
function logits(edit: EditOutcome): { positive: number[]; negative: number[] } {
  const read = (items: readonly { readonly scope?: { readonly logit: number } | undefined }[]): number[] =>
    items.flatMap(({ scope }) => (scope === undefined ? [] : [scope.logit]));
  return { positive: read(headlineItems(edit)), negative: read([...edit.outScope, ...edit.hard]) };
}

const countOn = (values: readonly number[]): number => values.filter((logit) => logit > 0).length;

/** Mean of the share let through in scope and the share held back out of scope (metrics.md §4). */
export function gateAccuracy(edits: readonly EditOutcome[], options?: BootstrapOptions): Estimate | null {
  const rows = edits.map((edit) => {
    const { positive, negative } = logits(edit);
    return [
      positive.length,
      countOn(positive),
      negative.length,
      negative.length - countOn(negative),
    ] as const;
  });
  return bootstrap(
    rows.length,
    (counts) => {
      const sums = [0, 0, 0, 0] as [number, number, number, number];
      rows.forEach((row, i) => {
        for (const at of [0, 1, 2, 3] as const) sums[at] += (counts[i] ?? 0) * row[at];
      });
      return (sums[1] / sums[0] + sums[3] / sums[2]) / 2;
    },
    options,
  );
}

/** Of the questions let through, the share that is in scope; null if none is let through. */
export function gatePrecision(edits: readonly EditOutcome[], options?: BootstrapOptions): Estimate | null {
  const ratios = edits.map((edit) => {
    const { positive, negative } = logits(edit);
    const on = countOn(positive);
    return { numerator: on, denominator: on + countOn(negative) };
  });
  return ratioEstimate(ratios, options);
}

/** Of the in-scope questions, the share let through. */
export function gateRecall(edits: readonly EditOutcome[], options?: BootstrapOptions): Estimate | null {
  const ratios = edits.map((edit) => {
    const { positive } = logits(edit);
    return { numerator: countOn(positive), denominator: positive.length };
  });
  return ratioEstimate(ratios, options);
}

/** Area under the ROC curve: the chance that an in-scope logit is above an out-of-scope one, ties half. */
export function gateAuc(edits: readonly EditOutcome[], options?: BootstrapOptions): Estimate | null {
  const points = edits.flatMap((edit, unit) => {
    const { positive, negative } = logits(edit);
    return [
      ...positive.map((logit) => ({ logit, unit, inScope: true })),
      ...negative.map((logit) => ({ logit, unit, inScope: false })),
    ];
  });
  points.sort((a, b) => a.logit - b.logit);
  return bootstrap(
    edits.length,
    (counts) => {
      let positives = 0;
      let negatives = 0;
      let wins = 0;
      for (let from = 0; from < points.length; ) {
        let tiedPositives = 0;
        let tiedNegatives = 0;
        let at = from;
        for (; at < points.length && points[at]?.logit === points[from]?.logit; at++) {
          const point = points[at];
          if (point === undefined) continue;
          if (point.inScope) tiedPositives += counts[point.unit] ?? 0;
          else tiedNegatives += counts[point.unit] ?? 0;
        }
        wins += tiedPositives * (negatives + tiedNegatives / 2);
        positives += tiedPositives;
        negatives += tiedNegatives;
        from = at;
      }
      return wins / (positives * negatives);
    },
    options,
  );
}

/** Share of in-scope questions whose most attended edit is the one they ask about; null where none is attended to. */
export function selectionAccuracy(
  edits: readonly EditOutcome[],
  options?: BootstrapOptions,
): Estimate | null {
  return episodeMean(
    edits,
    (edit) =>
      headlineItems(edit).flatMap(({ scope }) =>
        scope === undefined || scope.selected === -1 ? [] : [Number(scope.selected === edit.edit)],
      ),
    options,
  );
}

/** Share of hard out-of-scope questions let through. */
export function gateOnHard(edits: readonly EditOutcome[], options?: BootstrapOptions): Estimate | null {
  return episodeMean(
    edits,
    (edit) => edit.hard.flatMap(({ scope }) => (scope === undefined ? [] : [Number(scope.logit > 0)])),
    options,
  );
}

/** Share of random out-of-scope questions let through. */
export function gateOnRandom(edits: readonly EditOutcome[], options?: BootstrapOptions): Estimate | null {
  return episodeMean(
    edits,
    (edit) => edit.outScope.flatMap(({ scope }) => (scope === undefined ? [] : [Number(scope.logit > 0)])),
    options,
  );
}
