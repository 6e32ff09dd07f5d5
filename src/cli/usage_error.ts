/** The command line itself is wrong; the program ends with status 2 and points to --help. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "UsageError";
  }
}

/** For `coerce`: names separated by commas. */
export const nameList = (text: string): string[] =>
  text
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");

/** For `coerce`: whole numbers of at least `least`, separated by commas. */
export function numberList(option: string, least: number): (text: string) => number[] {
  const check = wholeNumber(option, least);
  return (text) => nameList(text).map((name) => check(Number(name)));
}

/** For `coerce`: a number above 0. */
export function positiveNumber(option: string): (value: number) => number {
  return (value) => {
    if (Number.isFinite(value) && value > 0) return value;
    throw new UsageError(`expected a number above 0 for \`--${option}\``);
  };
}

/** For `coerce`: a whole number of at least `least`. */
export function wholeNumber(option: string, least: number): (value: number) => number {
  return (value) => {
    if (Number.isSafeInteger(value) && value >= least) return value;
    throw new UsageError(`expected a whole number of at least ${least} for \`--${option}\``);
  };
}
