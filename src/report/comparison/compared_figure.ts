import type { Estimate } from "../../metrics/bootstrap.js";

/** One figure of one cell in two runs. */
export interface ComparedFigure {
  /** Of the cell, the same in both runs. */
  readonly cell: string;
  readonly name: string;
  readonly before: number;
  readonly after: number;
  readonly format: (value: number) => string;
  /** after / before, or after − before; with an interval that allows for the number of figures compared. */
  readonly change: Estimate;
  readonly kind: "ratio" | "difference";
  readonly verdict: FigureVerdict;
}

/** `up` and `down` are beyond noise. */
export type FigureVerdict = "up" | "down" | "same";

/** When a change is one. */
export interface Doubt {
  /** Smaller changes are none; as a share for ratios. */
  readonly least: number;
  /** Of fewer units no interval tells enough. */
  readonly fewest: number;
}

/**
 * Times: repetitions of one process do not tell what differs between two, such as where its memory lies; and of four and
 * four repetitions the least likely order has a chance of 1 in 35. Shares: six equal signs have a chance of 1 in 32.
 */
export const DOUBT_OF_TIMES: Doubt = { least: 0.02, fewest: 4 };
export const DOUBT_OF_SHARES: Doubt = { least: 0, fewest: 6 };
/** Bytes and operations are counted, not sampled. */
export const NO_DOUBT: Doubt = { least: 0, fewest: 1 };

export function verdictOf(change: Estimate, kind: ComparedFigure["kind"], doubt: Doubt): FigureVerdict {
  const still = kind === "ratio" ? 1 : 0;
  if (Math.abs(change.value - still) < doubt.least || change.n < doubt.fewest) return "same";
  if (change.low > still) return "up";
  return change.high < still ? "down" : "same";
}

/**
 * Options of a bootstrap whose interval holds for all of `count` figures together (Bonferroni): of many figures that
 * stay the same none should look changed.
 */
export const jointly = (count: number) => ({ level: 1 - 0.05 / Math.max(1, count), resamples: 4000 });

/** What cells are called: method and K, and of the other parts those that tell some of them apart. */
export function cellNames<Item>(
  items: readonly Item[],
  partsOf: (item: Item) => readonly { readonly text: string; readonly always: boolean }[],
): (item: Item) => string {
  const texts = items.map((item) => partsOf(item).map(({ text }) => text));
  const varies = (part: number): boolean => new Set(texts.map((own) => own[part])).size > 1;
  return (item) =>
    partsOf(item)
      .flatMap(({ text, always }, part) => (always || varies(part) ? text : []))
      .join(", ");
}

export const always = (text: string) => ({ text, always: true });
export const ifVaried = (text: string) => ({ text, always: false });

/** Items of two runs that stand for the same, and those that only one run has, by name. */
export interface Matched<Item> {
  readonly both: readonly { readonly name: string; readonly before: Item; readonly after: Item }[];
  readonly onlyBefore: readonly string[];
  readonly onlyAfter: readonly string[];
}

export function match<Item>(
  before: readonly Item[],
  after: readonly Item[],
  nameOf: (item: Item) => string,
): Matched<Item> {
  const later = new Map(after.map((item) => [nameOf(item), item]));
  const names = before.map(nameOf);
  return {
    both: before.flatMap((item, i) => {
      const name = names[i] ?? "";
      const found = later.get(name);
      return found === undefined ? [] : [{ name, before: item, after: found }];
    }),
    onlyBefore: names.filter((name) => !later.has(name)),
    onlyAfter: [...later.keys()].filter((name) => !names.includes(name)),
  };
}
