import { SeprogError } from "../errors.js";
import { loadCounterfact } from "./datasets/counterfact.js";
import { loadJsonl } from "./datasets/jsonl.js";
import { loadZsre } from "./datasets/zsre.js";
import type { Dataset } from "./types.js";

export interface DatasetEntry {
  readonly title: string;
  readonly licence: string;
  readonly load: () => Promise<Dataset>;
}

/** The embedded data sets. A new one is a file in `datasets/` and a line here. */
export const DATASETS: Readonly<Record<string, DatasetEntry>> = {
  counterfact: {
    title: "CounterFact with ParaRel rephrases",
    licence: "MIT",
    load: () => loadCounterfact(),
  },
  zsre: {
    title: "zsRE: 1,000 training and all of the 1,037 + KnowEdit test questions",
    licence: "MIT (edit fields); see assets/data/zsre/LICENSE",
    load: () => loadZsre(),
  },
};

/**
 * @param nameOrPath name of an embedded data set, or path of a `.jsonl` file of common records
 * @throws SeprogError CONFIG_INVALID for an unknown name, DATA_INVALID for bad content
 */
export async function loadDataset(nameOrPath: string): Promise<Dataset> {
  const entry = Object.hasOwn(DATASETS, nameOrPath) ? DATASETS[nameOrPath] : undefined;
  if (entry !== undefined) return entry.load();
  if (nameOrPath.endsWith(".jsonl")) return loadJsonl(nameOrPath);
  throw new SeprogError(
    "CONFIG_INVALID",
    `expected ${Object.keys(DATASETS).join(", ")} or the path of a .jsonl file for \`data\` but received "${nameOrPath}"`,
  );
}
