import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CellTask, datasetLabel } from "../bench/grid.js";
import { runJob } from "../bench/job_process.js";
import type { SuiteConfig } from "../config/suite.js";
import { SeprogError } from "../errors.js";
import { writeJsonAtomically } from "../files.js";
import { readProfileRun } from "../report/profile/profile_run.js";
import { cellsLikeSuite, shapedCells } from "./cells.js";
import type { PlanTarget } from "./devices.js";
import type { TokensEach } from "./even_lengths.js";
import type { PlanJob, ShapedModel } from "./job.js";
import type { CellPlan, Plan, PlanFailure } from "./plan_record.js";
import type { ProfileRecord } from "./record.js";
import { PROFILE_WORKER } from "./runner.js";
import type { ShapeName } from "./shapes.js";

export interface PlanOptions {
  readonly target: PlanTarget;
  readonly k: readonly number[];
  readonly tokens: TokensEach;
  /** In place of the suite's own models. */
  readonly shapes?: readonly ShapeName[] | undefined;
  /** A profile run: where it has a cell, its very rows are planned and its peaks compared. */
  readonly against?: string | undefined;
  readonly outFile: string;
  readonly signal?: AbortSignal;
  readonly onPlanned?: (label: string, done: number, total: number) => void;
  /** Program of the cells' processes; default: the worker of this package. */
  readonly worker?: string;
}

/**
 * Plans every method × model × K for a device, each in a process of its own; nothing of a model but its sizes is needed.
 * A cell that cannot be planned leaves its reason.
 * @throws SeprogError CONFIG_INVALID for models that are not there, DATA_INVALID for `against` without profiles; the first
 *   failure when no cell could be planned; the signal's reason when aborted
 */
export async function planSuite(suite: SuiteConfig, options: PlanOptions): Promise<Plan> {
  const { target, k, tokens, shapes, against, signal, onPlanned, worker = PROFILE_WORKER } = options;
  const records = against === undefined ? [] : (await readProfileRun(against)).records;
  const cells = shapes ? shapedCells(suite, shapes, k, tokens) : await cellsLikeSuite(suite, k, tokens);
  const workFolder = await mkdtemp(join(tmpdir(), "seprog-plan-"));
  const planned: CellPlan[] = [];
  const failures: PlanFailure[] = [];
  try {
    for (const [i, { task, model }] of cells.entries()) {
      const outFile = join(workFolder, "plan.json");
      const record = recordOf(records, task, model, shapes === undefined) ?? null;
      const job: PlanJob = {
        kind: "plan",
        target,
        task,
        model,
        record,
        modelsDirectory: workFolder,
        outFile,
      };
      const method = task.editor.methodName;
      try {
        await runJob(job, { worker, ...(signal && { signal }) });
        planned.push(JSON.parse(await readFile(outFile, "utf8")));
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof SeprogError)) throw error;
        failures.push({ method, model: model.name, K: task.K, code: error.code, message: error.message });
      }
      onPlanned?.(`${method} ${model.name} K=${task.K}`, i + 1, cells.length);
    }
  } finally {
    await rm(workFolder, { recursive: true, force: true });
  }
  const [first] = failures;
  if (planned.length === 0 && first) throw new SeprogError("UNSUPPORTED", `${first.code}: ${first.message}`);
  const plan: Plan = { schemaVersion: 1, kind: "plan", target, cells: planned, failures };
  await writeJsonAtomically(options.outFile, plan);
  return plan;
}

/** The profile of the same method, model and K, on the suite's data or on random ids. */
const recordOf = (
  records: readonly ProfileRecord[],
  { editor, dataset, K }: CellTask,
  { name }: ShapedModel,
  hasData: boolean,
): ProfileRecord | undefined =>
  records.find(
    (record) =>
      record.method === editor.methodName &&
      record.model === name &&
      record.K === K &&
      record.dataset === (hasData ? datasetLabel(dataset) : null),
  );
