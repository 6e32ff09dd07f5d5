import { createHash } from "node:crypto";
import { basename, resolve } from "node:path";
import type { EvaluationConfig } from "../config/evaluation.js";
import type {
  MethodConfig,
  SuiteConfig,
  SuiteDataset,
  SweepPoint,
  TextConfig,
  Tune,
} from "../config/suite.js";
import { parseDatasetSpec } from "../data/dataset_spec.js";
import { SeprogError } from "../errors.js";
import type { BaseDtype } from "../models/base_dtype.js";

/** One editor to be trained, or found trained: a method on the train splits it names, with one seed. */
export interface EditorTask {
  readonly methodName: string;
  readonly method: MethodConfig;
  /** Data sets trained on. */
  readonly datasets: readonly string[];
  readonly seed: number;
}

/** One cell of the result table. */
export interface CellTask {
  readonly editor: EditorTask;
  readonly dataset: string;
  /** The base model as the suite names it. */
  readonly model: string;
  /** What it is rounded to. */
  readonly baseDtype: BaseDtype;
  readonly text: TextConfig;
  readonly evaluation: EvaluationConfig;
  readonly K: number;
  readonly seed: number;
  readonly sweep: SweepPoint | null;
  readonly tune: Tune | null;
  /** Folder below `cells/`. */
  readonly name: string;
}

/**
 * Every data set × method × seed × K. The first seed of everything comes first, so that a run that is cut short has a
 * whole grid of few seeds; the cells of one trained editor stand together.
 * @throws SeprogError CONFIG_INVALID for two data sets of one name
 */
export function suiteCells({ datasets }: SuiteConfig): CellTask[] {
  const labels = datasets.map(({ name }) => datasetLabel(name));
  const twice = labels.find((label, i) => labels.indexOf(label) < i);
  if (twice !== undefined)
    throw new SeprogError(
      "CONFIG_INVALID",
      `expected data sets of different names in \`datasets\` but received ${twice} twice; measure them in suites of their own`,
    );
  const seeds = [...new Set(datasets.flatMap((dataset) => dataset.seeds))];
  return seeds.flatMap((seed) =>
    datasets.flatMap((dataset) => (dataset.seeds.includes(seed) ? cellsOf(dataset, seed) : [])),
  );
}

function cellsOf(
  { name: dataset, methods, model, baseDtype, text, evaluation, k }: SuiteDataset,
  seed: number,
) {
  return Object.entries(methods).flatMap(([methodName, { config: method, sweep, tune }]) => {
    const trainedOn = method.training.datasets.length > 0 ? method.training.datasets : [dataset];
    const editor: EditorTask = { methodName, method, datasets: trainedOn, seed };
    return k.map((K): CellTask => {
      const name = `${methodName}-${datasetLabel(dataset)}-K${K}-s${seed}`;
      return { editor, dataset, model, baseDtype, text, evaluation, K, seed, sweep, tune, name };
    });
  });
}

/** A base model's name as tables show it: the bundled name, or the last part of its folder's path. */
export const modelLabel = (model: string): string => basename(resolve(model));

/**
 * A data set's name as tables and folders show it: the bundled name, of official files `zsre-full`, of a user's file the
 * file's name made unique by its path.
 */
export function datasetLabel(dataset: string): string {
  const spec = parseDatasetSpec(dataset);
  if (spec.kind === "embedded") return spec.name;
  if (spec.kind === "official") return `${spec.name}-full`;
  const plain = basename(spec.path, ".jsonl").replaceAll(/[^A-Za-z0-9._-]/g, "_");
  return `${plain}-${createHash("sha256").update(dataset).digest("hex").slice(0, 6)}`;
}
