import { existsSync } from "node:fs";
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { configHash } from "../config/hash.js";
import type { SuiteConfig } from "../config/suite.js";
import { useOf } from "../editors/registry.js";
import { SeprogError } from "../errors.js";
import {
  type CellResult,
  cellResultSchema,
  type OverBudget,
  SUMMARY_SCHEMA_VERSION,
  type Summary,
} from "../evaluation/records.js";
import { writeJsonAtomically } from "../files.js";
import { RUN_FILES, type RunData, readRun } from "../report/run_data.js";
import { writeReports } from "../report/write.js";
import type { LoopEvent } from "../training/events.js";
import { describeEnvironment } from "./environment.js";
import { type CellTask, datasetLabel } from "./grid.js";
import type { EngineChoice, TrainingStop } from "./job.js";
import { type JobOptions, runJob } from "./job_process.js";
import { finishedCells, groupByEditor, type PlannedCell, type PlannedEditor, planCells } from "./plan.js";
import { refuseMissing } from "./requirements.js";
import { type PacedJob, RunPace } from "./run_pace.js";

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
  /** Most minutes for the steps of one training; the cells of an editor that needs more are reported as such. */
  readonly budgetMinutes?: number;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: SuiteEvent) => void;
  /** Program of the jobs' processes; default: the worker of this package. */
  readonly worker?: string;
}

export type SuiteEvent =
  | { readonly type: "job"; readonly label: string; readonly event: LoopEvent }
  | {
      readonly type: "editor";
      readonly label: string;
      readonly reused: boolean;
      readonly folder: string;
      readonly etaMs: number | null;
    }
  | {
      readonly type: "planned";
      readonly methods: number;
      readonly datasets: number;
      readonly Ks: number;
      readonly seeds: number;
      readonly cells: number;
      readonly trainings: number;
    }
  | { readonly type: "skipped"; readonly count: number; readonly total: number }
  | {
      readonly type: "cell";
      readonly result: CellResult;
      readonly done: number;
      readonly total: number;
      /** Until the whole run is done; null while nothing is known of it. */
      readonly etaMs: number | null;
    }
  | {
      readonly type: "over-budget";
      /** Of the editor. */
      readonly label: string;
      readonly cells: readonly OverBudget[];
      readonly etaMs: number | null;
    }
  | { readonly type: "failed"; readonly label: string; readonly error: SeprogError };

export interface SuiteRun {
  readonly summary: Summary;
  readonly run: RunData;
  readonly reports: { readonly markdown: string; readonly html: string };
  /** Cells that could not be measured; the others are in the summary. */
  readonly failures: readonly { readonly label: string; readonly error: SeprogError }[];
}

/**
 * Measures every cell of a suite, each in a process of its own, training the editors it needs. Finished cells of the
 * same configuration are kept; a crash costs one cell. An abort loses at most the running cells.
 * @throws SeprogError naming every model and data set that is missing, before anything runs; the first failure when no
 *   cell could be measured; the signal's reason when aborted
 */
export async function runSuite(suite: SuiteConfig, options: SuiteRunOptions): Promise<SuiteRun> {
  const { folder, onEvent, signal } = options;
  await refuseMissing(suite);
  const editorsRoot = options.editorsDirectory ?? join(folder, "editors");
  const plan = await planCells(suite, { ...options, editorsRoot });
  // Asked before anything is written: without a working addon nothing is left behind.
  const { facts } = await runJob({ kind: "probe", engine: options.engine }, jobOptions(options));
  if (options.fresh || options.retrain)
    await rm(join(folder, RUN_FILES.cells), { recursive: true, force: true });
  if (options.fresh) await rm(join(folder, RUN_FILES.episodes), { recursive: true, force: true });
  await mkdir(folder, { recursive: true });

  const finished = await finishedCells(plan);
  const pending = plan.filter((cell) => !finished.has(cell.task.name));
  const groups = groupByEditor(pending);
  onEvent?.({
    type: "planned",
    methods: distinct(plan, ({ task }) => task.editor.methodName),
    datasets: distinct(plan, ({ task }) => task.dataset),
    Ks: distinct(plan, ({ task }) => task.K),
    seeds: distinct(plan, ({ task }) => task.seed),
    cells: plan.length,
    trainings: groups.filter(([editor]) => needsTraining(editor)).length,
  });
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
  const toTrain = groups.flatMap(([editor]) => (needsTraining(editor) ? [trainingOf(editor)] : []));
  const pace = new RunPace([...toTrain, ...pending.map(measuringOf)], options.jobs);
  const overBudget: OverBudget[] = [];
  for (const [editor, cells] of groups) {
    const provided = await provideEditor(editor, cells, { ...options, editorsRoot }, pace).catch(
      (error: unknown) => fail(editor.label, error),
    );
    if (provided === undefined || "stop" in provided) {
      for (const cell of cells) pace.dropped(measuringOf(cell));
      if (provided === undefined) continue;
      const records = cells.map(({ task }) => overBudgetRecord(task, provided.stop, options.budgetMinutes));
      for (const [i, { folder: cellFolder }] of cells.entries()) {
        await mkdir(cellFolder, { recursive: true });
        await writeJsonAtomically(join(cellFolder, RUN_FILES.overBudget), records[i]);
      }
      overBudget.push(...records);
      onEvent?.({ type: "over-budget", label: editor.label, cells: records, etaMs: pace.etaMs() });
      continue;
    }
    const { directory } = provided;
    await inParallel(cells, options.jobs, async (cell) => {
      const startedMs = performance.now();
      await measure(cell, directory, options)
        .then((result) => {
          finished.set(cell.task.name, result);
          pace.done(measuringOf(cell), performance.now() - startedMs);
          const etaMs = pace.etaMs();
          onEvent?.({ type: "cell", result, done: finished.size, total: plan.length, etaMs });
        })
        .catch((error: unknown) => {
          pace.dropped(measuringOf(cell));
          fail(cell.task.name, error);
        });
    });
  }
  const [first] = failures;
  if (finished.size === 0 && first) throw first.error;
  return { ...(await conclude(suite, plan, { finished, overBudget }, folder)), failures };
}

const distinct = <Item>(items: readonly Item[], keyOf: (item: Item) => unknown): number =>
  new Set(items.map(keyOf)).size;

const trainingOf = ({ dataset }: PlannedEditor): PacedJob => ({ kind: "train", dataset });
const measuringOf = ({ task: { dataset, K } }: PlannedCell): PacedJob => ({ kind: "cell", dataset, K });

function jobOptions({ signal, worker }: SuiteRunOptions): JobOptions {
  return { ...(signal && { signal }), ...(worker !== undefined && { worker }) };
}

const needsTraining = ({ isTrained, found }: PlannedEditor): boolean => isTrained && found === undefined;

/** The editor's folder, null where nothing is learned; or where its training was stopped by its budget. */
type ProvidedEditor = { readonly directory: string | null } | { readonly stop: TrainingStop };

/** The trained editor: where it was found, or trained now. */
async function provideEditor(
  editor: PlannedEditor,
  cells: readonly PlannedCell[],
  options: SuiteRunOptions & { readonly editorsRoot: string },
  pace: RunPace,
): Promise<ProvidedEditor> {
  if (!editor.isTrained) return { directory: null };
  const { methodName, origin, hash, label, found } = editor;
  const { folder, engine, onEvent, editorsRoot } = options;
  if (found !== undefined) {
    onEvent?.({ type: "editor", label, reused: true, folder: found.folder, etaMs: pace.etaMs() });
    return { directory: found.folder };
  }
  const [cell] = cells;
  if (cell === undefined)
    throw new SeprogError("INTERNAL", "expected an editor to be trained for at least one cell");
  const outDirectory = join(editorsRoot, hash);
  const workDirectory = join(folder, "training", hash);
  const startedMs = performance.now();
  const budget = options.budgetMinutes === undefined ? {} : { budgetMinutes: options.budgetMinutes };
  const { overBudget } = await runJob(
    { kind: "train", engine, methodName, origin, model: cell.model, outDirectory, workDirectory, ...budget },
    { ...jobOptions(options), onEvent: (event) => onEvent?.({ type: "job", label, event }) },
  ).catch((error: unknown) => {
    pace.dropped(trainingOf(editor));
    throw error;
  });
  if (overBudget) {
    pace.dropped(trainingOf(editor));
    return { stop: overBudget };
  }
  await rm(workDirectory, { recursive: true, force: true });
  pace.done(trainingOf(editor), performance.now() - startedMs);
  onEvent?.({ type: "editor", label, reused: false, folder: outDirectory, etaMs: pace.etaMs() });
  return { directory: outDirectory };
}

const overBudgetRecord = (
  { name, editor, sweep, dataset, K, seed }: CellTask,
  stop: TrainingStop,
  budgetMinutes = 0,
): OverBudget => ({
  cell: name,
  method: editor.methodName,
  variant: useOf(editor.method.editor).variant,
  sweep,
  dataset: datasetLabel(dataset),
  K,
  seed,
  budgetMinutes,
  ...stop,
});

async function measure(
  { task, model, hash, folder }: PlannedCell,
  editorDirectory: string | null,
  options: SuiteRunOptions,
): Promise<CellResult> {
  const { engine, onEvent } = options;
  const label = `${task.editor.methodName} ${datasetLabel(task.dataset)} K=${task.K}, seed ${task.seed}`;
  await runJob(
    {
      kind: "cell",
      engine,
      task,
      model,
      editorDirectory,
      configHash: hash,
      episodesDirectory: join(options.folder, RUN_FILES.episodes),
      outDirectory: folder,
    },
    { ...jobOptions(options), onEvent: (event) => onEvent?.({ type: "job", label, event }) },
  );
  return cellResultSchema.parse(JSON.parse(await readFile(join(folder, RUN_FILES.result), "utf8")));
}

interface RunState {
  readonly finished: ReadonlyMap<string, CellResult>;
  readonly overBudget: readonly OverBudget[];
}

async function conclude(
  suite: SuiteConfig,
  plan: readonly PlannedCell[],
  { finished, overBudget }: RunState,
  folder: string,
): Promise<Omit<SuiteRun, "failures">> {
  assertSharedEditors(plan, finished);
  const results = plan.flatMap(({ task }) => finished.get(task.name) ?? []);
  const summary: Summary = {
    schemaVersion: SUMMARY_SCHEMA_VERSION,
    suite: suite.name,
    notes: [...suite.notes],
    missing: plan.flatMap(({ task: { name } }) =>
      finished.has(name) || overBudget.some(({ cell }) => cell === name) ? [] : [name],
    ),
    overBudget: [...overBudget],
    models: Object.fromEntries(
      results.map(({ cell, provenance }) => [cell.model, provenance.modelRecord] as const),
    ),
    environment: JSON.parse(await readFile(join(folder, RUN_FILES.environment), "utf8")),
    cells: results.map(({ cell }) => cell),
  };
  await writeJsonAtomically(join(folder, RUN_FILES.summary), summary);
  const run = await readRun(folder);
  return { summary, run, reports: await writeReports(run, folder) };
}

/** Variants of one trained editor must have been measured with the same weights. */
function assertSharedEditors(plan: readonly PlannedCell[], finished: ReadonlyMap<string, CellResult>): void {
  for (const [{ label }, cells] of groupByEditor(plan)) {
    const prints = cells.flatMap(({ task }) => finished.get(task.name)?.provenance.editorFingerprint ?? []);
    if (new Set(prints).size > 1)
      throw new SeprogError(
        "INTERNAL",
        `expected one editor in all cells of ${label} but received fingerprints ${[...new Set(prints)].join(", ")}`,
      );
  }
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
