import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { checkpointFolders } from "../config/editor_spec.js";
import type { EvaluationConfig } from "../config/evaluation.js";
import { configHash } from "../config/hash.js";
import { resolveModel } from "../config/paths.js";
import { didYouMean } from "../config/suggest.js";
import type { TextConfig } from "../config/suite.js";
import { EMBEDDED_DATA } from "../data/assets.js";
import { parseDatasetSpec } from "../data/dataset_spec.js";
import { DATASETS, expectedDatasets, officialFilesOf } from "../data/registry.js";
import { coreSpec, editorModels, trainingSpec } from "../editors/registry.js";
import { SeprogError } from "../errors.js";
import type { BaseDtype } from "../models/base_dtype.js";
import { datasetIdentity, type EditorOrigin, TRAINING_VERSION } from "../training/trained_editors.js";
import type { CellTask, EditorTask } from "./grid.js";
import type { ModelChoice } from "./job.js";
import { hashFiles, modelHash } from "./model_hash.js";

/** Raised when a change of the code makes cells measured before it mean something else. */
const EVALUATION_VERSION = 2;

/** Contents that decide results, by name, each hashed once a process. */
export class ContentHashes {
  readonly #known = new Map<string, Promise<string>>();

  /** SHA-256 over a model's config, tokenizer and weights. */
  model(folder: string): Promise<string> {
    return this.#once(`model ${folder}`, () => modelHash(folder));
  }

  /**
   * SHA-256 of a user's file or of official files, or the published checksums of a bundled data set's files.
   * @throws SeprogError CONFIG_INVALID for an unknown name, DATA_INVALID for a file that is missing or cannot be read
   */
  dataset(dataset: string): Promise<string> {
    return this.#once(`data ${dataset}`, async () => {
      const spec = parseDatasetSpec(dataset);
      if (spec.kind === "file") return hashFiles([spec.path]);
      if (spec.kind === "official") {
        const { form, paths } = await officialFilesOf(spec.name, spec.directory);
        return configHash([form.title, await hashFiles(Object.values(paths))]);
      }
      checkBundled(dataset);
      const checksums = z
        .record(z.string(), z.json())
        .parse(JSON.parse(await readFile(join(EMBEDDED_DATA, "checksums.json"), "utf8")));
      return configHash(Object.entries(checksums).filter(([file]) => file.startsWith(`${dataset}/`)));
    });
  }

  #once(key: string, compute: () => Promise<string>): Promise<string> {
    const known = this.#known.get(key) ?? compute();
    this.#known.set(key, known);
    return known;
  }
}

function checkBundled(dataset: string): void {
  if (Object.hasOwn(DATASETS, dataset)) return;
  const names = Object.keys(DATASETS);
  throw new SeprogError(
    "CONFIG_INVALID",
    `expected ${expectedDatasets()} in \`datasets\` but received "${dataset}"${didYouMean(dataset, names)}`,
  );
}

/** A base of a suite, rounded to a type: another one for all that rests on its answers. */
export async function modelChoice(
  name: string,
  dtype: BaseDtype,
  contents: ContentHashes,
): Promise<ModelChoice> {
  const folder = resolveModel(name);
  const checksum = await contents.model(folder);
  return dtype === "fp32"
    ? { name, folder, checksum }
    : { name, folder, checksum: `${checksum} ${dtype}`, dtype };
}

/** What an editor of this task would be made from. */
export async function editorOrigin(
  task: EditorTask,
  text: TextConfig,
  model: { readonly checksum: string },
  contents: ContentHashes,
): Promise<EditorOrigin> {
  const editor = trainingSpec(task.method.editor);
  const checkpoints = await Promise.all(
    Object.entries(checkpointFolders(editor)).map(
      async ([option, folder]) => [option, await contents.model(folder)] as const,
    ),
  );
  return {
    trainingVersion: TRAINING_VERSION,
    method: { ...task.method, editor },
    datasets: [...task.datasets],
    data: await Promise.all(task.datasets.map((dataset) => contents.dataset(dataset))),
    seed: task.seed,
    text,
    model,
    ...(checkpoints.length > 0 && { checkpoints: Object.fromEntries(checkpoints) }),
  };
}

/** What a cell's episodes are drawn from. */
export interface EpisodesOrigin {
  readonly dataset: string;
  /** All records of a user's file, or only those of the split. */
  readonly wholeFile: boolean;
  readonly K: number;
  readonly evaluation: EvaluationConfig;
  /** The base model's answers decide which labels change something. */
  readonly model: { readonly checksum: string };
  readonly text: TextConfig;
}

const DEFAULT_NEW_TOKENS = 32;

/** Everything that decides the episodes; neither method nor seed is among it. */
export async function episodesHash(origin: EpisodesOrigin, contents: ContentHashes): Promise<string> {
  const { dataset, wholeFile, K, evaluation, model, text } = origin;
  const { split, maxEdits, minEpisodes, rephrasesPerEdit, outScope, keepShare, onlyWrong, maxNewTokens } =
    evaluation;
  return configHash({
    version: EVALUATION_VERSION,
    dataset: datasetIdentity(dataset),
    data: await contents.dataset(dataset),
    wholeFile,
    K,
    evaluation: {
      split,
      maxEdits,
      minEpisodes,
      rephrasesPerEdit,
      outScope,
      keepShare,
      onlyWrong,
      // Left out at the default, by which episodes from before it was an option are known.
      ...(maxNewTokens !== DEFAULT_NEW_TOKENS && { maxNewTokens }),
    },
    model: model.checksum,
    text,
  });
}

/** Everything that decides a cell's figures but the machine. */
export async function cellHash(cell: CellTask, editor: string, contents: ContentHashes): Promise<string> {
  const { evaluation } = cell;
  const { editor: used } = cell.editor.method;
  const models = editorModels(used);
  return configHash({
    version: EVALUATION_VERSION,
    editor,
    // Variants of one trained editor are told apart by how they use it; its models are part of the editor.
    use: Object.fromEntries(Object.entries(coreSpec(used)).filter(([option]) => !(option in models))),
    dataset: datasetIdentity(cell.dataset),
    data: await contents.dataset(cell.dataset),
    K: cell.K,
    ...(cell.baseDtype !== "fp32" && { baseDtype: cell.baseDtype }),
    // Figures do not depend on how rows are put together: 128 is what records from before say of all cells.
    evaluation: { ...evaluation, batchSize: 128 },
    ...(cell.tune && {
      tune: {
        option: cell.tune.option,
        values: cell.tune.candidates.map(({ value }) => value),
        edits: cell.tune.edits,
      },
    }),
  });
}
