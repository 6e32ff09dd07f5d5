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
import { writeFileAtomically, writeJsonAtomically } from "../files.js";
import { PROFILE_FILES } from "../report/profile/profile_run.js";
import { profileRecordSchema } from "../report/profile/record_schema.js";
import { RUN_FILES } from "../report/run_data.js";
import type { LoopEvent } from "../training/events.js";
import { atK, type ProfileCell, shapeProfileCells, suiteProfileCells } from "./cells.js";
import type { TokensEach } from "./even_lengths.js";
import type { ProfileJob, ProfileRepetitions } from "./job.js";
import type { ProfileFailure, ProfileRecord } from "./record.js";
import { inTurn, mergeRounds, type RoundPlan, roundPlan } from "./rounds.js";
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
      /** One process has measured its share of a cell. */
      readonly type: "round";
      readonly label: string;
      readonly round: number;
      readonly rounds: number;
      /** Until the whole run is done; null while nothing is known of it. */
      readonly etaMs: number | null;
    }
  | {
      readonly type: "profiled";
      readonly record: ProfileRecord;
      readonly done: number;
      readonly total: number;
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
 * Profiles every method × model × K, a process a cell and round: what differs from process to process, or drifts, is in the
 * samples. Finished cells and rounds of the same configuration are kept; one that cannot run leaves its reason, and the others
 * go on.
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

  const failures = new Map<string, ProfileFailure>();
  const pending = cells.filter((cell) => !records.has(cell.folder));
  const plan = roundPlan(options);
  const jobs = Array.from({ length: plan.rounds }, (_, round) =>
    inTurn(pending, round).map((cell) => ({ cell, round })),
  );
  const environmentOfCells = facts && { environment: { SEPROG_MATMUL: facts.matmul.name } };
  const startedMs = performance.now();
  let measured = 0;
  for (const [i, { cell, round }] of jobs.flat().entries()) {
    if (failures.has(cell.folder)) continue;
    const label = labelOf(cell);
    try {
      const isNew = await measureRound(cell, round, plan, { ...environmentOfCells, ...options });
      if (isNew) measured++;
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof SeprogError)) throw error;
      const failure = failureOf(cell, error);
      failures.set(cell.folder, failure);
      await rm(join(cell.folder, PROFILE_FILES.record), { force: true });
      await writeJsonAtomically(join(cell.folder, PROFILE_FILES.failure), failure);
      onEvent?.({ type: "failed", label, failure });
      continue;
    }
    const left = jobs.flat().length - i - 1;
    const etaMs = measured > 0 ? ((performance.now() - startedMs) / measured) * left : null;
    onEvent?.({ type: "round", label, round: round + 1, rounds: plan.rounds, etaMs });
    if (round < plan.rounds - 1) continue;
    const record = await complete(cell, plan.rounds);
    records.set(cell.folder, record);
    onEvent?.({ type: "profiled", record, done: records.size, total: cells.length });
  }
  await rm(join(folder, MODELS), { recursive: true, force: true });
  const [first] = failures.values();
  if (records.size === 0 && first) throw new SeprogError(first.code, first.message);
  return {
    records: cells.flatMap((cell) => records.get(cell.folder) ?? []),
    failures: [...failures.values()],
  };
}

const roundFile = ({ folder }: ProfileCell, round: number): string =>
  join(folder, PROFILE_FILES.rounds, `${round + 1}.json`);

const finishedRecord = (cell: ProfileCell): Promise<ProfileRecord | undefined> =>
  readIfOf(cell, join(cell.folder, PROFILE_FILES.record));

/** What stands in the file, where it is of this very configuration. */
async function readIfOf({ hash }: ProfileCell, path: string): Promise<ProfileRecord | undefined> {
  if (!existsSync(path)) return undefined;
  const parsed = profileRecordSchema.safeParse(JSON.parse(await readFile(path, "utf8")));
  return parsed.success && parsed.data.receipt.configHash === hash ? parsed.data : undefined;
}

/** In a process of its own; false where the round is known from before a stop. */
async function measureRound(
  cell: ProfileCell,
  round: number,
  { repetitions }: RoundPlan,
  options: ProfileRunOptions,
): Promise<boolean> {
  const { task, model, editorDirectory, quality, hash } = cell;
  const { engine, warmUps, signal, onEvent, worker = PROFILE_WORKER } = options;
  const outFile = roundFile(cell, round);
  if (await readIfOf(cell, outFile)) return false;
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
    detail: round === 0,
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
  return true;
}

/** Makes the cell's record of its rounds, which are then gone; only the last outcome of a cell stands in its folder. */
async function complete(cell: ProfileCell, rounds: number): Promise<ProfileRecord> {
  const records = await Promise.all(
    Array.from({ length: rounds }, (_, round) => readIfOf(cell, roundFile(cell, round))),
  );
  const [first, ...others] = records.filter((record) => record !== undefined);
  if (first === undefined || others.length + 1 < rounds)
    throw new SeprogError(
      "INTERNAL",
      `expected ${rounds} rounds in ${join(cell.folder, PROFILE_FILES.rounds)}`,
    );
  const record = mergeRounds([first, ...others]);
  await writeFileAtomically(join(cell.folder, PROFILE_FILES.record), `${JSON.stringify(record)}\n`);
  await rm(join(cell.folder, PROFILE_FILES.rounds), { recursive: true, force: true });
  await rm(join(cell.folder, PROFILE_FILES.failure), { force: true });
  return record;
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
