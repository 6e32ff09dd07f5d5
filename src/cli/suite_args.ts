import { loadSuite } from "../config/load.js";
import { type Override, parseOverrides } from "../config/overrides.js";
import type { SuiteConfig } from "../config/suite.js";
import { absoluteDatasetSpec } from "../data/dataset_spec.js";

export interface SuiteArgs {
  readonly suite: string;
  readonly set: readonly string[];
  readonly data?: string | undefined;
  readonly seed?: number | undefined;
}

/** The suite as file, `--set` and flags make it; flags win. Throws CONFIG_INVALID. */
export function suiteFromArgs(
  { suite, set, data, seed }: SuiteArgs,
  more: readonly Override[] = [],
): SuiteConfig {
  const flags: Override[] = [];
  if (data !== undefined)
    flags.push({ origin: `--data ${data}`, path: ["datasets"], value: [absoluteDatasetSpec(data)] });
  if (seed !== undefined) flags.push({ origin: `--seed ${seed}`, path: ["seeds"], value: [seed] });
  return loadSuite(suite, [...parseOverrides(set), ...flags, ...more]);
}
