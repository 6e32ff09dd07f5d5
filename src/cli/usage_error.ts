/** The command line itself is wrong; the program ends with status 2 and points to --help. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "UsageError";
  }
}

/** For `coerce`: a whole number of at least `least`. */
export function wholeNumber(option: string, least: number): (value: number) => number {
  return (value) => {
    if (Number.isSafeInteger(value) && value >= least) return value;
    throw new UsageError(`expected a whole number of at least ${least} for \`--${option}\``);
  };
}
