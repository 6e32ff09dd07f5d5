import { SeprogError } from "../errors.js";
import { Rng } from "./random.js";
import type { Dataset, EditRecord, Split } from "./types.js";

/** All carve-outs use this seed: the same records in the same split, whatever the run's own seed. */
export const SPLIT_SEED = 0;

export interface SplitShares {
  readonly test: number;
  readonly validation: number;
}

export const DEFAULT_SHARES: SplitShares = { test: 0.15, validation: 0.05 };

/**
 * Splits whole groups, never rows: groups in seeded order fill test, then validation, then train.
 * @param groups one group a record
 * @param shares wanted shares of the records
 * @returns the split of each group
 */
export function splitByGroup(groups: readonly string[], shares: SplitShares): Map<string, Split> {
  const sizes = new Map<string, number>();
  for (const group of groups) sizes.set(group, (sizes.get(group) ?? 0) + 1);
  const order = Rng.fromSeed(SPLIT_SEED).shuffle([...sizes.keys()].sort());
  const splitOf = new Map<string, Split>();
  const testEnd = shares.test * groups.length;
  const validationEnd = testEnd + shares.validation * groups.length;
  let filled = 0;
  for (const group of order) {
    splitOf.set(group, filled < testEnd ? "test" : filled < validationEnd ? "validation" : "train");
    filled += sizes.get(group) ?? 0;
  }
  return splitOf;
}

/**
 * Records keep the split they name and draw the rest of their group with them; groups that name none are split by
 * `shares`.
 * @throws SeprogError DATA_INVALID if one group names two splits
 */
export function toDataset(
  name: string,
  records: readonly EditRecord[],
  shares: SplitShares = DEFAULT_SHARES,
): Dataset {
  const named = new Map<string, Split>();
  for (const { id, group, split } of records) {
    if (split === undefined) continue;
    const known = named.get(group);
    if (known !== undefined && known !== split)
      throw new SeprogError(
        "DATA_INVALID",
        `expected one split for the group "${group}" of data set ${name} but received "${known}" and "${split}" (record ${id}); ` +
          "give records of one group the same `split`, or none",
      );
    named.set(group, split);
  }
  const drawn = splitByGroup(
    records.filter(({ group }) => !named.has(group)).map(({ group }) => group),
    shares,
  );
  const splits: Record<Split, EditRecord[]> = { train: [], validation: [], test: [] };
  for (const record of records)
    splits[named.get(record.group) ?? drawn.get(record.group) ?? "train"].push(record);
  return { name, splits };
}
