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

const UNITS: { readonly [unit: string]: number } = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/** For `coerce`: a number of bytes, with a binary unit or without: `512MiB`, `2G`, `1.5 GiB`. */
export function byteCount(option: string): (text: string | undefined) => number | undefined {
  return (text) => {
    if (text === undefined) return undefined;
    const [, number = "", unit = ""] = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(text.trim()) ?? [];
    const bytes = number === "" ? 0 : Math.floor(Number(number) * (UNITS[unit.toLowerCase()] ?? 0));
    if (bytes > 0) return bytes;
    throw new UsageError(
      `expected a number of bytes such as 512MiB or 2GiB for \`--${option}\` but received "${text}"`,
    );
  };
}
