import { existsSync } from "node:fs";
import { access, readdir } from "node:fs/promises";
import { basename, relative } from "node:path";
import { assetPath, bundledModels, bundledRecipe, packageRoot } from "../config/paths.js";
import { missingRoot } from "../config/roots.js";
import { didYouMean } from "../config/suggest.js";
import type { SuiteConfig } from "../config/suite.js";
import { parseDatasetSpec } from "../data/dataset_spec.js";
import { DATASETS, expectedDatasets, officialFilesOf } from "../data/registry.js";
import { editorModels } from "../editors/registry.js";
import { SeprogError } from "../errors.js";
import { datasetLabel } from "./grid.js";

/** Something a suite cannot run without. */
export interface Requirement {
  /** `base model of zsre`. */
  readonly what: string;
  /** As the suite names it. */
  readonly name: string;
  /** What is missing and how to get it; null when it is there. */
  readonly problem: SeprogError | null;
}

/** All models and data a suite needs, each once, with what is wrong with it. */
export async function suiteRequirements({ datasets, sources }: SuiteConfig): Promise<Requirement[]> {
  const found = new Map<string, Requirement>();
  const need = async (what: string, name: string, check: () => Promise<void>): Promise<void> => {
    if (found.has(name)) return;
    found.set(name, { what, name, problem: await problemOf(check, sources[name]) });
  };
  for (const { name, model, methods } of datasets) {
    const label = datasetLabel(name);
    await need(`data of ${label}`, name, () => checkDataset(name));
    await need(`base model of ${label}`, model, () => checkModel(model));
    for (const { editor, training } of Object.values(methods).map(({ config }) => config)) {
      for (const other of training.datasets)
        await need(`training data of ${label}`, other, () => checkDataset(other));
      for (const [option, other] of Object.entries(editorModels(editor)))
        if (other.source === "directory")
          await need(`${optionWords(option)} of ${label}`, other.path, () => checkModel(other.path));
    }
  }
  return [...found.values()];
}

/** `editEncoder` as people read it: `edit encoder`. */
const optionWords = (option: string): string =>
  option.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

/** @throws SeprogError naming everything that is missing: CONFIG_INVALID, or the code that all problems share */
export async function refuseMissing(suite: SuiteConfig): Promise<void> {
  const missing = (await suiteRequirements(suite)).flatMap(({ what, problem }) =>
    problem === null ? [] : [{ what, problem }],
  );
  const [first] = missing;
  if (first === undefined) return;
  if (missing.length === 1) throw first.problem;
  const isShared = missing.every(({ problem }) => problem.code === first.problem.code);
  const lines = missing.map(({ what, problem }) => `  ${what}: ${problem.message}`);
  throw new SeprogError(
    isShared ? first.problem.code : "CONFIG_INVALID",
    `expected all that suite ${suite.name} needs but ${missing.length} things are missing:\n${lines.join("\n")}`,
  );
}

async function problemOf(
  check: () => Promise<void>,
  source: string | undefined,
): Promise<SeprogError | null> {
  try {
    await check();
    return null;
  } catch (error) {
    if (!(error instanceof SeprogError)) throw error;
    const from = source === undefined ? "" : `; it is ${source}`;
    return new SeprogError(error.code, `${error.message}${from}`, { cause: error });
  }
}

function refusePlaceholder(name: string): void {
  const root = missingRoot(name);
  if (root === undefined) return;
  throw new SeprogError(
    "CONFIG_INVALID",
    `expected a folder for \`--${root}\` but received none; ${name} is looked for below it`,
  );
}

async function checkDataset(name: string): Promise<void> {
  refusePlaceholder(name);
  const spec = parseDatasetSpec(name);
  if (spec.kind === "official") await checkOfficial(spec.name, spec.directory);
  if (spec.kind === "file")
    await access(spec.path).catch((cause: unknown) => {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new SeprogError(
        "DATA_INVALID",
        `expected a readable file at ${spec.path} but received: ${reason}`,
        {
          cause,
        },
      );
    });
  if (spec.kind === "embedded" && !Object.hasOwn(DATASETS, spec.name))
    throw new SeprogError(
      "CONFIG_INVALID",
      `expected ${expectedDatasets()} in \`datasets\` but received "${name}"${didYouMean(name, Object.keys(DATASETS))}`,
    );
}

async function checkOfficial(name: string, directory: string): Promise<void> {
  const forms = Object.hasOwn(DATASETS, name) ? (DATASETS[name]?.official ?? []) : [];
  if (existsSync(directory) || forms.length === 0) {
    await officialFilesOf(name, directory);
    return;
  }
  const files = forms.map(
    ({ title, files: roles }) =>
      `${title}: ${Object.values(roles)
        .map((names) => names[0])
        .join(", ")}`,
  );
  throw new SeprogError(
    "DATA_INVALID",
    `expected a folder at ${directory} but there is none; make it and put there, unpacked, the files of ${files.join("; or of ")}`,
  );
}

/** Files of which a model folder needs one each, as the hub ships them. */
const MODEL_FILES = [
  { what: "config.json", isIt: (name: string) => name === "config.json" },
  {
    what: "weights (model.safetensors, pytorch_model.bin, or their shards)",
    isIt: (name: string) => /\.(safetensors|bin)$/.test(name),
  },
  {
    what: "a tokenizer (tokenizer.json, spiece.model, vocab.json with merges.txt, or vocab.txt)",
    isIt: (name: string) => /^(tokenizer\.json|spiece\.model|vocab\.json|vocab\.txt)$/.test(name),
  },
] as const;

async function checkModel(name: string): Promise<void> {
  refusePlaceholder(name);
  const bundled = bundledModels();
  if (bundled.includes(name)) return;
  const recipe = bundledRecipe(name);
  if (recipe !== undefined)
    throw new SeprogError(
      "CONFIG_INVALID",
      `expected the base model ${name} but it has not been made yet; make it with: npx seprog-native pretrain ${relative(packageRoot, recipe)} --out ${relative(packageRoot, assetPath("models", name))}, in ${packageRoot}`,
    );
  const files: readonly string[] | null = await readdir(name).catch(() => null);
  if (files === null && name !== basename(name))
    throw new SeprogError(
      "CONFIG_INVALID",
      `expected a model folder at ${name} but there is none; make it and put there ${MODEL_FILES.map(({ what }) => what).join(", ")}`,
    );
  if (files === null)
    throw new SeprogError(
      "CONFIG_INVALID",
      `expected a bundled model (${bundled.join(", ") || "none here"}) or a folder for \`model\` but received ${JSON.stringify(name)}${didYouMean(name, bundled)}`,
    );
  const missing = MODEL_FILES.filter(({ isIt }) => !files.some(isIt)).map(({ what }) => what);
  if (missing.length > 0)
    throw new SeprogError(
      "CONFIG_INVALID",
      `expected ${missing.join(" and ")} in ${name} but received ${files.length === 0 ? "an empty folder" : "a folder without"}`,
    );
}
