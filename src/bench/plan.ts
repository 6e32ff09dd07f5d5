import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { SuiteConfig } from "../config/suite.js";
import { isTrained } from "../editors/registry.js";
import { type CellResult, cellResultSchema } from "../evaluation/records.js";
import { trainingDtype } from "../models/base_dtype.js";
import { RUN_FILES } from "../report/run_data.js";
import {
  type EditorOrigin,
  editorHash,
  findTrained,
  readTrained,
  TRAINED_FILE,
} from "../training/trained_editors.js";
import { type CellTask, datasetLabel, suiteCells } from "./grid.js";
import { ContentHashes, cellHash, editorOrigin, modelChoice } from "./identity.js";
import type { ModelChoice } from "./job.js";

/** A cell with what it is measured with and where it goes. */
export interface PlannedCell {
  readonly task: CellTask;
  readonly model: ModelChoice;
  readonly editor: PlannedEditor;
  readonly hash: string;
  readonly folder: string;
}

/** An editor that cells share, whichever variants of it they measure. */
export interface PlannedEditor {
  readonly methodName: string;
  readonly dataset: string;
  /** What it is trained on. */
  readonly model: ModelChoice;
  readonly origin: EditorOrigin;
  readonly hash: string;
  readonly label: string;
  /** Whether there is a folder of what it has learned; else it is made from its options alone. */
  readonly isTrained: boolean;
  /** Where it stands already. */
  readonly found: FoundEditor | undefined;
}

export interface FoundEditor {
  readonly folder: string;
  readonly fingerprint: string;
}

export interface PlanOptions {
  /** The run's. */
  readonly folder: string;
  readonly editorsRoot: string;
  /** Measures with this trained editor whatever its configuration. */
  readonly editorDirectory?: string;
  /** Looks for no trained editors. */
  readonly retrain: boolean;
}

/** Every cell of the suite. @throws SeprogError for models and data that cannot be read */
export async function planCells(suite: SuiteConfig, options: PlanOptions): Promise<PlannedCell[]> {
  const contents = new ContentHashes();
  const editors = new Map<string, PlannedEditor>();
  const cells: PlannedCell[] = [];
  for (const task of suiteCells(suite)) {
    const model = await modelChoice(task.model, task.baseDtype, contents);
    const trainedOn = await modelChoice(task.model, trainingDtype(task.baseDtype), contents);
    const origin = await editorOrigin(task.editor, task.text, trainedOn, contents);
    const hash = editorHash(origin);
    const editor = editors.get(hash) ?? {
      methodName: task.editor.methodName,
      dataset: task.dataset,
      model: trainedOn,
      origin,
      hash,
      label: `${task.editor.methodName} on ${task.editor.datasets.map(datasetLabel).join(" + ")}, seed ${task.seed}`,
      isTrained: isTrained(task.editor.method.editor),
      found: isTrained(task.editor.method.editor) ? await findEditor(hash, options) : undefined,
    };
    editors.set(hash, editor);
    const { editorDirectory } = options;
    const used = editorDirectory === undefined ? hash : `${hash} ${editorDirectory}`;
    cells.push({
      task,
      model,
      editor,
      hash: await cellHash(task, used, contents),
      folder: join(options.folder, RUN_FILES.cells, task.name),
    });
  }
  return cells;
}

/** The editor of this name, where it stands; with `retrain` none is looked for. */
export async function findEditor(
  hash: string,
  { editorDirectory, editorsRoot, retrain }: Pick<PlanOptions, "editorDirectory" | "editorsRoot" | "retrain">,
): Promise<FoundEditor | undefined> {
  const folder = editorDirectory ?? (retrain ? undefined : await findTrained(hash, [editorsRoot]));
  if (folder === undefined || !existsSync(join(folder, TRAINED_FILE))) return undefined;
  return { folder, fingerprint: (await readTrained(folder)).fingerprint };
}

/**
 * The cells that are done under the same configuration and with the very editor that the others are measured with. One
 * whose editor is gone counts only if none of that editor's cells has to be measured.
 */
export async function finishedCells(plan: readonly PlannedCell[]): Promise<Map<string, CellResult>> {
  const finished = new Map<string, CellResult>();
  for (const [{ found, isTrained: learns }, cells] of groupByEditor(plan)) {
    const results: (readonly [string, CellResult])[] = [];
    for (const cell of cells) {
      const result = await finishedResult(cell);
      const isOfEditor = found === undefined || result?.provenance.editorFingerprint === found.fingerprint;
      if (result && isOfEditor) results.push([cell.task.name, result]);
    }
    if (learns && found === undefined && results.length < cells.length) continue;
    for (const [name, result] of results) finished.set(name, result);
  }
  return finished;
}

/** What stands in the cell's folder, if it was measured under this very configuration. */
export async function finishedResult({
  folder,
  hash,
}: Pick<PlannedCell, "folder" | "hash">): Promise<CellResult | undefined> {
  const path = join(folder, RUN_FILES.result);
  if (!existsSync(path)) return undefined;
  const parsed = cellResultSchema.safeParse(JSON.parse(await readFile(path, "utf8")));
  return parsed.success && parsed.data.cell.configHash === hash ? parsed.data : undefined;
}

/** The cells of each editor, editors in the order of their first cells. */
export function groupByEditor(cells: readonly PlannedCell[]): [PlannedEditor, PlannedCell[]][] {
  const groups = new Map<string, [PlannedEditor, PlannedCell[]]>();
  for (const cell of cells) {
    const group = groups.get(cell.editor.hash) ?? [cell.editor, []];
    group[1].push(cell);
    groups.set(cell.editor.hash, group);
  }
  return [...groups.values()];
}
