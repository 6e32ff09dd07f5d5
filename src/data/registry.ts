import { SeprogError } from "../errors.js";
import { parseDatasetSpec } from "./dataset_spec.js";
import { loadCounterfact } from "./datasets/counterfact.js";
import { FEVER_FORMS, loadFever } from "./datasets/fever.js";
import { loadJsonl } from "./datasets/jsonl.js";
import { LEAPOFTHOUGHT_FORMS, loadLeapOfThought } from "./datasets/leapofthought.js";
import { loadWikidata5m, WIKIDATA5M_FORMS } from "./datasets/wikidata5m.js";
import { loadWikipedia, WIKIPEDIA_FORMS } from "./datasets/wikipedia.js";
import { loadZsre, ZSRE_FORMS } from "./datasets/zsre.js";
import {
  findOfficialFiles,
  type LoadContext,
  type OfficialFiles,
  type OfficialForm,
} from "./official_files.js";
import type { Dataset } from "./types.js";

export interface DatasetEntry {
  readonly title: string;
  readonly licence: string;
  /** The embedded set. */
  readonly load: () => Promise<Dataset>;
  /** Forms in which others published it, for users who have the files; the first complete one is read. */
  readonly official: readonly OfficialForm[];
}

/** The data sets. A new one is a file in `datasets/` and a line here. */
export const DATASETS: Readonly<Record<string, DatasetEntry>> = {
  counterfact: {
    title: "CounterFact with ParaRel rephrases",
    licence: "MIT",
    load: () => loadCounterfact(),
    official: [],
  },
  fever: {
    title: "FEVER: claims with machine paraphrases, and training claims without",
    licence: "CC BY-SA 3.0; see assets/data/fever/LICENSE",
    load: () => loadFever(),
    official: FEVER_FORMS,
  },
  leapofthought: {
    title: "LeapOfThought: official dev and test, training split made anew from its knowledge base",
    licence: "MIT",
    load: () => loadLeapOfThought(),
    official: LEAPOFTHOUGHT_FORMS,
  },
  wikidata5m: {
    title: "Wikidata facts in SLAG's form: two relations a subject, questions from KGConv",
    licence: "MIT, questions CC BY 4.0; see assets/data/wikidata5m/LICENSE",
    load: () => loadWikidata5m(),
    official: WIKIDATA5M_FORMS,
  },
  wikipedia: {
    title: "Passages of WikiText-103 with ten tokens that gpt2-mini made up after them",
    licence: "CC BY-SA 3.0; see assets/data/wikipedia/LICENSE",
    load: () => loadWikipedia(),
    official: WIKIPEDIA_FORMS,
  },
  zsre: {
    title: "zsRE: 1,000 training and all of the 1,037 + KnowEdit test questions",
    licence: "MIT (edit fields); see assets/data/zsre/LICENSE",
    load: () => loadZsre(),
    official: ZSRE_FORMS,
  },
};

/** What `spec` may be, for messages. */
export function expectedDatasets(): string {
  const names = Object.keys(DATASETS);
  const withFiles = names.filter((name) => (DATASETS[name]?.official.length ?? 0) > 0);
  return `${names.join(", ")}, NAME:FOLDER with official files of ${withFiles.join(", ")}, or the path of a .jsonl file`;
}

function entryOf(name: string, spec: string): DatasetEntry {
  const entry = Object.hasOwn(DATASETS, name) ? DATASETS[name] : undefined;
  if (entry === undefined)
    throw new SeprogError(
      "CONFIG_INVALID",
      `expected ${expectedDatasets()} for \`data\` but received "${spec}"`,
    );
  return entry;
}

/**
 * The official files that `NAME:FOLDER` names.
 * @throws SeprogError CONFIG_INVALID for an unknown data set or one without an official form, DATA_INVALID naming the
 *   files that the folder lacks
 */
export async function officialFilesOf(name: string, directory: string): Promise<OfficialFiles> {
  const spec = `${name}:${directory}`;
  const { official } = entryOf(name, spec);
  if (official.length === 0 || directory === "")
    throw new SeprogError(
      "CONFIG_INVALID",
      `expected ${expectedDatasets()} for \`data\` but received "${spec}"`,
    );
  return findOfficialFiles(name, official, directory);
}

/**
 * @param spec name of an embedded data set, `NAME:FOLDER` for its official files in a folder, or path of a `.jsonl` file
 *   of common records
 * @throws SeprogError CONFIG_INVALID for an unknown name or a tokenizer that is needed and not given, DATA_INVALID for
 *   missing files and bad content
 */
export async function loadDataset(spec: string, context: LoadContext = {}): Promise<Dataset> {
  const parsed = parseDatasetSpec(spec);
  switch (parsed.kind) {
    case "file":
      return loadJsonl(parsed.path);
    case "embedded":
      return entryOf(parsed.name, spec).load();
    case "official": {
      const { form, paths } = await officialFilesOf(parsed.name, parsed.directory);
      return form.load(paths, context);
    }
  }
}
