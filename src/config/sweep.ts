import type { SweepPoint } from "./suite.js";

/** Options whose names are short in the literature. */
const SHORT_NAMES: Readonly<Record<string, string>> = { promptLength: "p", learningRate: "lr" };

/** A method of a sweep: `seprog-p16`, `seprog-lambda0.1`, `seprog-k1-4-16`. */
export function sweepPoint(
  of: string,
  option: string,
  value: unknown,
): { readonly name: string; readonly point: SweepPoint } {
  const last = option.split(".").at(-1) ?? option;
  const values = Array.isArray(value) ? value.map(String) : [String(value)];
  return {
    name: `${of}-${SHORT_NAMES[last] ?? last}${values.join("-")}`,
    point: { of, option, value: values.join(", ") },
  };
}
