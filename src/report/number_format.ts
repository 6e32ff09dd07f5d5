import type { OverBudget } from "../evaluation/records.js";

/** `0.957`. */
export const share = (value: number): string => value.toFixed(3);

/** `+0.120`, `−0.034`. */
export const signed = (value: number): string => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;

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
