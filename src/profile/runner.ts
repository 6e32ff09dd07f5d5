import { existsSync } from "node:fs";
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describeEnvironment } from "../bench/environment.js";
import { datasetLabel, modelLabel } from "../bench/grid.js";
import type { EngineChoice } from "../bench/job.js";
import { type JobOptions, runJob } from "../bench/job_process.js";
import { refuseMissing } from "../bench/requirements.js";
import { configHash } from "../config/hash.js";
import type { SuiteConfig } from "../config/suite.js";
import { SeprogError } from "../errors.js";
import { writeJsonAtomically } from "../files.js";
import { PROFILE_FILES } from "../report/profile/profile_run.js";
import { profileRecordSchema } from "../report/profile/record_schema.js";
import { RUN_FILES } from "../report/run_data.js";
import type { LoopEvent } from "../training/events.js";
import { atK, type ProfileCell, shapeProfileCells, suiteProfileCells } from "./cells.js";
import type { TokensEach } from "./even_lengths.js";
import type { ProfileJob, ProfileRepetitions } from "./job.js";
import type { ProfileFailure, ProfileRecord } from "./record.js";
import type { ShapeName } from "./shapes.js";

export interface ProfileRunOptions extends ProfileRepetitions {
  /** All that is written goes below it. */
  readonly folder: string;
  readonly engine: EngineChoice;
  /**
   * What the cells' processes would else choose for themselves, as variables (`choicesOf`); default: the library of fp32
   * matrix products that is fastest now, the same for all cells.
   */
  readonly environment?: Readonly<Record<string, string>>;
  readonly k: readonly number[];
  /** Models of random weights that are asked random ids, in place of the suite's own models and data. */
  readonly shapes?: { readonly names: readonly ShapeName[]; readonly tokens: TokensEach };
  /** A bench run whose trained editors and results are used. */
  readonly benchFolder?: string | undefined;
  /** Deletes the run's profiles first. */
  readonly fresh: boolean;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: ProfileEvent) => void;
  /** Program of the cells' processes; default: the worker of this package. */
  readonly worker?: string;
}

export type ProfileEvent =
  | { readonly type: "planned"; readonly cells: number; readonly known: number }
  | { readonly type: "job"; readonly label: string; readonly event: LoopEvent }
  | {
      readonly type: "profiled";
      readonly record: ProfileRecord;
      readonly done: number;
      readonly total: number;
      /** Until the whole run is done; null while nothing is known of it. */
      readonly etaMs: number | null;
    }
  | { readonly type: "failed"; readonly label: string; readonly failure: ProfileFailure };

export interface ProfileOutcome {
  /** In the order of the cells. */
  readonly records: readonly ProfileRecord[];
  readonly failures: readonly ProfileFailure[];
}

/** Models of random weights beside the base, gone at the end. */
const MODELS = "models";
/** Program of the process of a profiled or planned cell. */
export const PROFILE_WORKER = fileURLToPath(new URL("./worker.js", import.meta.url));

/**
 * Profiles every method × model × K, each in a process of its own. Finished cells of the same configuration are kept;
 * one that cannot run leaves its reason, and the others go on.
 * @throws SeprogError naming every model and data set that is missing, before anything runs; the first failure when no
 *   cell could be profiled; the signal's reason when aborted
 */
export async function profileSuite(suite: SuiteConfig, options: ProfileRunOptions): Promise<ProfileOutcome> {
  const { folder, shapes, onEvent, signal } = options;
  const profiles = join(folder, PROFILE_FILES.profiles);
  if (shapes === undefined) await refuseMissing(suite);
  const cells = shapes
    ? shapeProfileCells(suite, shapes.names, shapes.tokens, options)
    : await suiteProfileCells(suite, options);
  const { facts } = await runJob({ kind: "probe", engine: options.engine }, signal && { signal });
  if (options.fresh) await rm(profiles, { recursive: true, force: true });
  await mkdir(profiles, { recursive: true });
  const config = { suite: atK(suite, options.k), shapes };
  await writeJsonAtomically(join(folder, PROFILE_FILES.config), { configHash: configHash(config), config });
  const environment = join(folder, PROFILE_FILES.environment);

  const records = new Map<string, ProfileRecord>();
  for (const cell of cells) {
    const record = await finishedRecord(cell);
    if (record) records.set(cell.folder, record);
  }
  onEvent?.({ type: "planned", cells: cells.length, known: records.size });
  if (facts && (records.size < cells.length || !existsSync(environment)))
    await writeJsonAtomically(environment, describeEnvironment(facts));

  const failures: ProfileFailure[] = [];
  const startedMs = performance.now();
  const pending = cells.filter((cell) => !records.has(cell.folder));
  for (const [i, cell] of pending.entries()) {
    const outcome = await profile(cell, {
      ...(facts && { environment: { SEPROG_MATMUL: facts.matmul.name } }),
      ...options,
    }).catch((error: unknown) => {
      signal?.throwIfAborted();
      if (error instanceof SeprogError) return failureOf(cell, error);
      throw error;
    });
    if (outcome.kind === "profile-failure") {
      failures.push(outcome);
      await rm(join(cell.folder, PROFILE_FILES.record), { force: true });
      await writeJsonAtomically(join(cell.folder, PROFILE_FILES.failure), outcome);
      onEvent?.({ type: "failed", label: labelOf(cell), failure: outcome });
      continue;
    }
    records.set(cell.folder, outcome);
    const left = pending.length - i - 1;
    const etaMs = ((performance.now() - startedMs) / (i + 1)) * left;
    onEvent?.({ type: "profiled", record: outcome, done: records.size, total: cells.length, etaMs });
  }
  await rm(join(folder, MODELS), { recursive: true, force: true });
  const [first] = failures;
  if (records.size === 0 && first) throw new SeprogError(first.code, first.message);
  return { records: cells.flatMap((cell) => records.get(cell.folder) ?? []), failures };
}

async function finishedRecord({ folder, hash }: ProfileCell): Promise<ProfileRecord | undefined> {
  const path = join(folder, PROFILE_FILES.record);
  if (!existsSync(path)) return undefined;
  const parsed = profileRecordSchema.safeParse(JSON.parse(await readFile(path, "utf8")));
  return parsed.success && parsed.data.receipt.configHash === hash ? parsed.data : undefined;
}

async function profile(cell: ProfileCell, options: ProfileRunOptions): Promise<ProfileRecord> {
  const { task, model, editorDirectory, quality, hash, folder } = cell;
  const { engine, warmUps, repetitions, signal, onEvent, worker = PROFILE_WORKER } = options;
  const outFile = join(folder, PROFILE_FILES.record);
  const job: ProfileJob = {
    kind: "profile",
    engine,
    task,
    model,
    editorDirectory,
    quality,
    configHash: hash,
    warmUps,
    repetitions,
    episodesDirectory: join(options.folder, RUN_FILES.episodes),
    modelsDirectory: join(options.folder, MODELS),
    outFile,
  };
  const onJobEvent = (event: LoopEvent): void => onEvent?.({ type: "job", label: labelOf(cell), event });
  const jobOptions: JobOptions = {
    worker,
    onEvent: onJobEvent,
    ...(signal && { signal }),
    // What is compared is computed by one library: each process would choose anew, by what is faster at that moment.
    ...(options.environment && { environment: options.environment }),
  };
  await runJob(job, jobOptions);
  // Only the last outcome of a cell stands in its folder.
  await rm(join(folder, PROFILE_FILES.failure), { force: true });
  return profileRecordSchema.parse(JSON.parse(await readFile(outFile, "utf8")));
}

const failureOf = ({ task, model }: ProfileCell, { code, message }: SeprogError): ProfileFailure => ({
  schemaVersion: 1,
  kind: "profile-failure",
  method: task.editor.methodName,
  dataset: model.kind === "folder" ? datasetLabel(task.dataset) : null,
  model: model.kind === "folder" ? modelLabel(model.name) : model.name,
  K: task.K,
  code,
  message,
});

function labelOf({ task, model }: ProfileCell): string {
  const where = model.kind === "folder" ? datasetLabel(task.dataset) : model.name;
  return `${task.editor.methodName} ${where} K=${task.K}`;
}
