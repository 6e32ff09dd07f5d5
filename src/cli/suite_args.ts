import { loadSuite, wantsDataFolder } from "../config/load.js";
import { type Override, parseOverrides } from "../config/overrides.js";
import { selectFrom, withMicroBatch } from "../config/select.js";
import type { SuiteConfig } from "../config/suite.js";
import { absoluteDatasetSpec, parseDatasetSpec } from "../data/dataset_spec.js";
import type { BaseDtype } from "../models/base_dtype.js";

export interface SuiteArgs {
  readonly suite: string;
  readonly set: readonly string[];
  readonly data?: string | undefined;
  readonly models?: string | undefined;
  readonly seed?: number | undefined;
  readonly methods?: readonly string[] | undefined;
  readonly datasets?: readonly string[] | undefined;
  readonly k?: readonly number[] | undefined;
  readonly microBatch?: number | undefined;
  readonly baseDtype?: BaseDtype | undefined;
}

/**
 * The suite as file, `--set` and flags make it; flags win.
 * @param first overrides that `--set` and flags win over
 * @throws SeprogError CONFIG_INVALID
 */
export function suiteFromArgs(
  { suite, set, data, models, seed, microBatch, baseDtype, ...selection }: SuiteArgs,
  first: readonly Override[] = [],
): SuiteConfig {
  const flags: Override[] = [];
  const isFolder = data !== undefined && isDataFolder(suite, data);
  if (data !== undefined && !isFolder)
    flags.push({ origin: `--data ${data}`, path: ["datasets"], value: [absoluteDatasetSpec(data)] });
  if (seed !== undefined) flags.push({ origin: `--seed ${seed}`, path: ["seeds"], value: [seed] });
  if (baseDtype !== undefined)
    flags.push({ origin: `--base-dtype ${baseDtype}`, path: ["baseDtype"], value: baseDtype });
  const whole = loadSuite(suite, [...first, ...parseOverrides(set), ...flags], {
    models,
    data: isFolder ? data : undefined,
  });
  const chosen = selectFrom(whole, selection);
  return microBatch === undefined ? chosen : withMicroBatch(chosen, microBatch);
}

/** A suite of official files takes the folder they stand in; anything else names a data set. */
function isDataFolder(suite: string, data: string): boolean {
  return parseDatasetSpec(data).kind === "embedded" && wantsDataFolder(suite);
}
