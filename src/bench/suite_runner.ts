import { existsSync } from "node:fs";
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { configHash } from "../config/hash.js";
import { resolveModel } from "../config/paths.js";
import type { SuiteConfig } from "../config/suite.js";
import { SeprogError } from "../errors.js";
import { type CellResult, cellResultSchema, type Summary } from "../evaluation/records.js";
import { writeJsonAtomically } from "../files.js";
import { RUN_FILES, readRun } from "../report/run_data.js";
import { writeReports } from "../report/write.js";
import type { LoopEvent } from "../training/events.js";
import { type EditorOrigin, editorHash, findTrained } from "../training/trained_editors.js";
import { describeEnvironment } from "./environment.js";
import { type CellTask, datasetLabel, suiteCells } from "./grid.js";
import { ContentHashes, cellHash, editorOrigin } from "./identity.js";
import type { EngineChoice, ModelChoice } from "./job.js";
import { type JobOptions, runJob } from "./job_process.js";

export interface SuiteRunOptions {
  /** `runs/<name>`: all that is written goes below it. */
  readonly folder: string;
  readonly engine: EngineChoice;
  /** Processes at once. More than one disturbs the timings. */
  readonly jobs: number;
  /** Deletes the run's cells first. */
  readonly fresh: boolean;
  /** Trains anew even where a trained editor of this configuration is known; then every cell is measured anew too. */
  readonly retrain: boolean;
  /** Where trained editors are kept and looked for first; default: `editors` in the run's folder. */
  readonly editorsDirectory?: string;
  /** Measures with this trained editor whatever its configuration, and trains none. */
  readonly editorDirectory?: string;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: SuiteEvent) => void;
  /** Program of the jobs' processes; default: the worker of this package. */
  readonly worker?: string;
}

export type SuiteEvent =
  | { readonly type: "job"; readonly label: string; readonly event: LoopEvent }
  | { readonly type: "editor"; readonly label: string; readonly reused: boolean; readonly folder: string }
  | { readonly type: "skipped"; readonly count: number; readonly total: number }
  | { readonly type: "cell"; readonly result: CellResult; readonly done: number; readonly total: number }
  | { readonly type: "failed"; readonly label: string; readonly error: SeprogError };

export interface SuiteRun {
  readonly summary: Summary;
  readonly reports: { readonly markdown: string; readonly html: string };
  /** Cells that could not be measured; the others are in the summary. */
  readonly failures: readonly { readonly label: string; readonly error: SeprogError }[];
}

interface PlannedCell {
  readonly task: CellTask;
  readonly editor: PlannedEditor;
  readonly hash: string;
  readonly folder: string;
}

interface PlannedEditor {
  readonly methodName: string;
  readonly origin: EditorOrigin;
  readonly hash: string;
  readonly label: string;
}

/**
 * Measures every cell of a suite, each in a process of its own, training the editors it needs. Finished cells of the
 * same configuration are kept; a crash costs one cell. An abort loses at most the running cells.
 * @throws SeprogError when no cell could be measured; the signal's reason when aborted
 */
export async function runSuite(suite: SuiteConfig, options: SuiteRunOptions): Promise<SuiteRun> {
  const { folder, onEvent, signal } = options;
  const model = await chooseModel(suite.model);
  const plan = await planCells(suite, model, options);
  // Asked before anything is written: without a working addon nothing is left behind.
  const facts = await runJob({ kind: "probe", engine: options.engine }, jobOptions(options));
  if (options.fresh || options.retrain)
    await rm(join(folder, RUN_FILES.cells), { recursive: true, force: true });
  if (options.fresh) await rm(join(folder, RUN_FILES.episodes), { recursive: true, force: true });
  await mkdir(folder, { recursive: true });

  const finished = new Map<string, CellResult>();
  for (const cell of plan) {
    const result = await finishedResult(cell);
    if (result) finished.set(cell.task.name, result);
  }
  const pending = plan.filter((cell) => !finished.has(cell.task.name));
  onEvent?.({ type: "skipped", count: finished.size, total: plan.length });
  if (facts && (pending.length > 0 || !existsSync(join(folder, RUN_FILES.environment)))) {
    await writeJsonAtomically(join(folder, RUN_FILES.environment), describeEnvironment(facts));
  }
  await writeJsonAtomically(join(folder, RUN_FILES.config), { configHash: configHash(suite), config: suite });

  const failures: { label: string; error: SeprogError }[] = [];
  const fail = (label: string, error: unknown): void => {
    if (signal?.aborted) throw signal.reason;
    if (!(error instanceof SeprogError)) throw error;
    failures.push({ label, error });
    onEvent?.({ type: "failed", label, error });
  };
  for (const [editor, cells] of groupByEditor(pending)) {
    const directory = await provideEditor(editor, model, options).catch((error: unknown) =>
      fail(editor.label, error),
    );
    if (directory === undefined) continue;
    await inParallel(cells, options.jobs, async (cell) => {
      await measure(cell, directory, model, suite, options)
        .then((result) => {
          finished.set(cell.task.name, result);
          onEvent?.({ type: "cell", result, done: finished.size, total: plan.length });
        })
        .catch((error: unknown) => fail(cell.task.name, error));
    });
  }
  const [first] = failures;
  if (finished.size === 0 && first) throw first.error;
  return { ...(await conclude(suite, plan, finished, folder)), failures };
}

function jobOptions({ signal, worker }: SuiteRunOptions): JobOptions {
  return { ...(signal && { signal }), ...(worker !== undefined && { worker }) };
}

async function chooseModel(name: string): Promise<ModelChoice> {
  const folder = resolveModel(name);
  return { name, folder, checksum: await new ContentHashes().model(folder) };
}

async function planCells(
  suite: SuiteConfig,
  model: ModelChoice,
  options: SuiteRunOptions,
): Promise<PlannedCell[]> {
  const contents = new ContentHashes();
  const cells: PlannedCell[] = [];
  for (const task of suiteCells(suite)) {
    const origin = await editorOrigin(task.editor, suite.text, model, contents);
    const hash = editorHash(origin);
    const used = options.editorDirectory === undefined ? hash : `${hash} ${options.editorDirectory}`;
    cells.push({
      task,
      editor: {
        methodName: task.editor.methodName,
        origin,
        hash,
        label: `${task.editor.methodName} on ${task.editor.datasets.map(datasetLabel).join(" + ")}, seed ${task.seed}`,
      },
      hash: await cellHash(task, used, suite.evaluation, contents),
      folder: join(options.folder, RUN_FILES.cells, task.name),
    });
  }
  return cells;
}

async function finishedResult({ folder, hash }: PlannedCell): Promise<CellResult | undefined> {
  const path = join(folder, RUN_FILES.result);
  if (!existsSync(path)) return undefined;
  const parsed = cellResultSchema.safeParse(JSON.parse(await readFile(path, "utf8")));
  return parsed.success && parsed.data.cell.configHash === hash ? parsed.data : undefined;
}

function groupByEditor(cells: readonly PlannedCell[]): [PlannedEditor, PlannedCell[]][] {
  const groups = new Map<string, [PlannedEditor, PlannedCell[]]>();
  for (const cell of cells) {
    const group = groups.get(cell.editor.hash) ?? [cell.editor, []];
    group[1].push(cell);
    groups.set(cell.editor.hash, group);
  }
  return [...groups.values()];
}

/** The folder of the trained editor: found by its hash, or trained now. */
async function provideEditor(
  { methodName, origin, hash, label }: PlannedEditor,
  model: ModelChoice,
  options: SuiteRunOptions,
): Promise<string> {
  const { folder, engine, onEvent, editorDirectory } = options;
  const root = options.editorsDirectory ?? join(folder, "editors");
  const found = editorDirectory ?? (options.retrain ? undefined : await findTrained(hash, [root]));
  if (found !== undefined) {
    onEvent?.({ type: "editor", label, reused: true, folder: found });
    return found;
  }
  const outDirectory = join(root, hash);
  const workDirectory = join(folder, "training", hash);
  await runJob(
    { kind: "train", engine, methodName, origin, model, outDirectory, workDirectory },
    { ...jobOptions(options), onEvent: (event) => onEvent?.({ type: "job", label, event }) },
  );
  await rm(workDirectory, { recursive: true, force: true });
  onEvent?.({ type: "editor", label, reused: false, folder: outDirectory });
  return outDirectory;
}

async function measure(
  { task, hash, folder }: PlannedCell,
  editorDirectory: string,
  model: ModelChoice,
  suite: SuiteConfig,
  options: SuiteRunOptions,
): Promise<CellResult> {
  const { engine, onEvent } = options;
  const label = `${task.editor.methodName} ${datasetLabel(task.dataset)} K=${task.K}`;
  await runJob(
    {
      kind: "cell",
      engine,
      task,
      text: suite.text,
      model,
      evaluation: suite.evaluation,
      editorDirectory,
      configHash: hash,
      episodesDirectory: join(options.folder, RUN_FILES.episodes),
      outDirectory: folder,
    },
    { ...jobOptions(options), onEvent: (event) => onEvent?.({ type: "job", label, event }) },
  );
  return cellResultSchema.parse(JSON.parse(await readFile(join(folder, RUN_FILES.result), "utf8")));
}

async function conclude(
  suite: SuiteConfig,
  plan: readonly PlannedCell[],
  finished: ReadonlyMap<string, CellResult>,
  folder: string,
): Promise<Omit<SuiteRun, "failures">> {
  const summary: Summary = {
    schemaVersion: 1,
    suite: suite.name,
    environment: JSON.parse(await readFile(join(folder, RUN_FILES.environment), "utf8")),
    cells: plan.flatMap(({ task }) => finished.get(task.name)?.cell ?? []),
  };
  await writeJsonAtomically(join(folder, RUN_FILES.summary), summary);
  return { summary, reports: await writeReports(await readRun(folder), folder) };
}

/** Runs `work` over the items, so many at a time; a throw is thrown on when all that run have ended. */
async function inParallel<Item>(
  items: readonly Item[],
  count: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  const lane = async (): Promise<void> => {
    for (const item of queue) await work(item);
  };
  const results = await Promise.allSettled(Array.from({ length: Math.max(1, count) }, lane));
  for (const result of results) if (result.status === "rejected") throw result.reason;
}
