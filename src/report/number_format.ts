import type { OverBudget } from "../evaluation/records.js";

/** Where a figure is missing because nothing was measured; the notes say why. */
export const NOT_MEASURED = "n/a";

/** `0.957`. */
export const share = (value: number): string => value.toFixed(3);

/** `+0.120`, `−0.034`. */
export const signed = (value: number): string => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;

/** Three significant digits; powers of ten where there are many zeros: `12.5`, `0.031`, `1e-5`. */
export function compactNumber(value: number): string {
  const magnitude = Math.abs(value);
  const isOdd = magnitude !== 0 && (magnitude < 1e-3 || magnitude >= 1e6);
  return isOdd
    ? value.toExponential().replace(/^(-?\d(?:\.\d\d?)?)\d*/, "$1")
    : String(Number(value.toPrecision(3)));
}

/** `over budget (20 min, at step 310 of 4000)`. */
export const overBudgetText = ({ budgetMinutes, step, steps }: OverBudget): string =>
  `over budget (${budgetMinutes} min, at step ${step} of ${steps})`;

/** `0.945 – 0.963`. */
export function interval(
  { low, high }: { readonly low: number; readonly high: number },
  format: (value: number) => string,
): string {
  return `${format(low)} – ${format(high)}`;
}

/** `2.41×`, `0.0412×`, `132×`. */
export function times(value: number): string {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value >= 1 ? value.toFixed(digits) : value.toPrecision(3)}×`;
}
