import { SeprogError } from "../errors.js";

/** What must be there: one answer for each question, one place for each edit. */
export function present<T>(value: T | undefined): T {
  if (value === undefined) throw new SeprogError("INTERNAL", "expected one answer for each question");
  return value;
}
