import { existsSync } from "node:fs";
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { configHash } from "../config/hash.js";
import type { SuiteConfig } from "../config/suite.js";
import { SeprogError } from "../errors.js";
import {
  type CellResult,
  type OverBudget,
  SUMMARY_SCHEMA_VERSION,
  type Summary,
} from "../evaluation/records.js";
import { writeJsonAtomically } from "../files.js";
import { RUN_FILES, type RunData, readRun } from "../report/run_data.js";
import { writeReports } from "../report/write.js";
import { Claims } from "./claims.js";
import { describeEnvironment, type EngineFacts } from "./environment.js";
import { runJob } from "./job_process.js";
import { finishedCells, groupByEditor, type PlannedCell, planCells } from "./plan.js";
import { refuseMissing } from "./requirements.js";
import type { SuiteRunOptions } from "./suite_events.js";
import { doSuiteWork, needsTraining } from "./suite_work.js";

export type { SuiteEvent, SuiteRunOptions } from "./suite_events.js";

export interface SuiteRun {
  readonly summary: Summary;
  readonly run: RunData;
  readonly reports: { readonly markdown: string; readonly html: string };
  /** Cells that could not be measured; the others are in the summary. */
  readonly failures: readonly { readonly label: string; readonly error: SeprogError }[];
}

/**
 * Measures every cell of a suite, each in a process of its own, training the editors it needs. Finished cells of the
 * same configuration are kept; a crash costs one cell. An abort loses at most the running cells. Another run may be at
 * work in the same folder: the cells are shared.
 * @throws SeprogError naming every model and data set that is missing, before anything runs; the first failure when no
 *   cell could be measured; the signal's reason when aborted
 */
export async function runSuite(suite: SuiteConfig, options: SuiteRunOptions): Promise<SuiteRun> {
  const { folder, onEvent } = options;
  await refuseMissing(suite);
  const editorsRoot = options.editorsDirectory ?? join(folder, "editors");
  const plan = await planCells(suite, { ...options, editorsRoot });
  // Asked before anything is written: without a working addon nothing is left behind.
  const facts = await probe(options);
  if (options.fresh || options.retrain)
    await refuseOthersAtWork(folder, options.retrain ? "retrain" : "fresh");
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
  if (pending.length > 0 || !existsSync(join(folder, RUN_FILES.environment))) {
    await writeJsonAtomically(join(folder, RUN_FILES.environment), describeEnvironment(facts));
  }
  await writeJsonAtomically(join(folder, RUN_FILES.config), { configHash: configHash(suite), config: suite });

  const { overBudget, failures } = await doSuiteWork(
    { groups, finished, total: plan.length },
    { ...options, editorsRoot, environment: { SEPROG_MATMUL: facts.matmul.name } },
  );
  const [first] = failures;
  if (finished.size === 0 && first) throw first.error;
  return { ...(await conclude(suite, plan, { finished, overBudget }, folder)), failures };
}

const distinct = <Item>(items: readonly Item[], keyOf: (item: Item) => unknown): number =>
  new Set(items.map(keyOf)).size;

/**
 * What every device's engine is: all must be there before anything is written.
 * @throws SeprogError as the engine does
 */
async function probe({
  engine,
  devices = [engine.device],
  jobs,
  signal,
  worker,
}: SuiteRunOptions): Promise<EngineFacts> {
  const used = [...new Set(devices.slice(0, Math.max(1, jobs)))];
  const options = { ...(signal && { signal }), ...(worker !== undefined && { worker }) };
  const found: EngineFacts[] = [];
  for (const device of used) {
    const { facts } = await runJob({ kind: "probe", engine: { ...engine, device } }, options);
    if (facts) found.push(facts);
  }
  const [first] = found;
  if (first === undefined) throw new SeprogError("INTERNAL", "expected the engine to say what it is");
  return first;
}

/** @throws SeprogError CONFIG_INVALID while another run is at work in the folder: what it measures would be deleted */
async function refuseOthersAtWork(folder: string, option: string): Promise<void> {
  const [work] = await new Claims(join(folder, RUN_FILES.claims)).held();
  if (work !== undefined)
    throw new SeprogError(
      "CONFIG_INVALID",
      `expected no other run in ${folder} for \`--${option}\` but one is at ${work}; wait for it, or name another folder with --out`,
    );
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
