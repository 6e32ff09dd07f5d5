import { createHash } from "node:crypto";
import { basename, resolve } from "node:path";
import type { MethodConfig, SuiteConfig } from "../config/suite.js";
import { parseDatasetSpec } from "../data/dataset_spec.js";

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
  readonly K: number;
  readonly seed: number;
  /** Folder below `cells/`. */
  readonly name: string;
}

/** Every method × data set × seed × K, the cells of one trained editor together. */
export function suiteCells(suite: SuiteConfig): CellTask[] {
  return Object.entries(suite.methods).flatMap(([methodName, method]) =>
    suite.datasets.flatMap((dataset) =>
      suite.seeds.flatMap((seed) => {
        const trainedOn = method.training.datasets.length > 0 ? method.training.datasets : [dataset];
        const editor: EditorTask = { methodName, method, datasets: trainedOn, seed };
        return suite.k.map((K) => ({
          editor,
          dataset,
          K,
          seed,
          name: `${methodName}-${datasetLabel(dataset)}-K${K}-s${seed}`,
        }));
      }),
    ),
  );
}

/** A base model's name as tables show it: the bundled name, or the last part of its folder's path. */
export const modelLabel = (model: string): string => basename(resolve(model));

/**
 * A data set's name as tables and folders show it: the bundled name; of official files the name, of a user's file the
 * file's name, made unique by the path.
 */
export function datasetLabel(dataset: string): string {
  const spec = parseDatasetSpec(dataset);
  if (spec.kind === "embedded") return spec.name;
  const name = spec.kind === "official" ? spec.name : basename(spec.path, ".jsonl");
  const plain = name.replaceAll(/[^A-Za-z0-9._-]/g, "_");
  return `${plain}-${createHash("sha256").update(dataset).digest("hex").slice(0, 6)}`;
}
