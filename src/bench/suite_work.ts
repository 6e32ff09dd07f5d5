import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { useOf } from "../editors/registry.js";
import { SeprogError } from "../errors.js";
import { type CellResult, cellResultSchema, type OverBudget } from "../evaluation/records.js";
import { writeJsonAtomically } from "../files.js";
import { RUN_FILES } from "../report/run_data.js";
import { readTrained } from "../training/trained_editors.js";
import { type Claim, Claims } from "./claims.js";
import { type Attempt, AttemptWatch, failureRecord } from "./failure_record.js";
import { type CellTask, datasetLabel } from "./grid.js";
import type { CellJob, EngineChoice, Job, TrainingStop } from "./job.js";
import { type JobOutcome, runJob } from "./job_process.js";
import { findEditor, finishedResult, type PlannedCell, type PlannedEditor } from "./plan.js";
import { type PacedJob, RunPace } from "./run_pace.js";
import type { SuiteRunOptions } from "./suite_events.js";
import { WorkQueue } from "./work_queue.js";

/** A process may die of what does not happen again, as memory that others held; of what does, no more than this often. */
const MOST_ATTEMPTS = 3;
/** How often work of another run in the folder is looked at. */
const LOOK_AGAIN_MS = 300;

export interface SuiteWorkOptions extends SuiteRunOptions {
  readonly editorsRoot: string;
  /** Variables of the jobs' processes: what is compared must not choose its matrix library apart. */
  readonly environment: Readonly<Record<string, string>>;
}

export interface SuiteWorkInput {
  /** What is to be measured, by editor. */
  readonly groups: readonly (readonly [PlannedEditor, readonly PlannedCell[]])[];
  /** By the names of cells; those that are measured are added. */
  readonly finished: Map<string, CellResult>;
  /** Cells of the suite, finished ones too. */
  readonly total: number;
}

export interface SuiteWorkOutcome {
  readonly overBudget: readonly OverBudget[];
  /** Cells that could not be measured and editors that could not be trained. */
  readonly failures: readonly { readonly label: string; readonly error: SeprogError }[];
}

interface EditorWork {
  readonly kind: "editor";
  readonly editor: PlannedEditor;
  /** At least one. */
  readonly cells: readonly PlannedCell[];
  readonly attempts: readonly Attempt[];
}

interface CellWork {
  readonly kind: "cell";
  readonly cell: PlannedCell;
  /** Null where nothing is learned before editing. */
  readonly editorDirectory: string | null;
  readonly attempts: readonly Attempt[];
}

type Work = EditorWork | CellWork;

/** What a piece of work leaves to do. */
interface Left {
  readonly next?: readonly Work[];
  readonly last?: readonly Work[];
  /** Another run in the folder is at it. */
  readonly isTaken?: boolean;
}

/**
 * Trains and measures, each in a process of its own, so many at once. All lanes take from one queue: an editor's cells come
 * as soon as it is there. Several runs may work in one folder: each piece of work is done by one of them. What a process
 * was at that died goes to the end of the queue; after a few deaths it counts as failed.
 * @throws the signal's reason when aborted, after all processes have ended
 */
export async function doSuiteWork(
  input: SuiteWorkInput,
  options: SuiteWorkOptions,
): Promise<SuiteWorkOutcome> {
  return await new SuiteWork(input, options).run();
}

class SuiteWork {
  readonly #options: SuiteWorkOptions;
  readonly #finished: Map<string, CellResult>;
  readonly #total: number;
  readonly #queue: WorkQueue<Work>;
  readonly #claims: Claims;
  readonly #pace: RunPace;
  readonly #overBudget: OverBudget[] = [];
  readonly #failures: { label: string; error: SeprogError }[] = [];

  constructor({ groups, finished, total }: SuiteWorkInput, options: SuiteWorkOptions) {
    this.#options = options;
    this.#finished = finished;
    this.#total = total;
    this.#claims = new Claims(join(options.folder, RUN_FILES.claims));
    this.#queue = new WorkQueue(
      groups.flatMap(([editor, cells]): Work[] =>
        editor.isTrained ? [{ kind: "editor", editor, cells, attempts: [] }] : cells.map(untrainedCell),
      ),
    );
    const toTrain = groups.flatMap(([editor]) => (needsTraining(editor) ? [trainingOf(editor)] : []));
    const toMeasure = groups.flatMap(([, cells]) => cells.map(measuringOf));
    this.#pace = new RunPace([...toTrain, ...toMeasure], options.jobs);
  }

  async run(): Promise<SuiteWorkOutcome> {
    const { jobs, engine, devices = [engine.device] } = this.#options;
    const lanes = Array.from({ length: Math.max(1, jobs) }, (_, i) =>
      this.#lane({ ...engine, device: devices[i % devices.length] ?? engine.device }),
    );
    const results = await Promise.allSettled(lanes);
    await this.#claims.tidy();
    for (const result of results) if (result.status === "rejected") throw result.reason;
    return { overBudget: this.#overBudget, failures: this.#failures };
  }

  async #lane(engine: EngineChoice): Promise<void> {
    const { signal, onEvent } = this.#options;
    let turnedAway = 0;
    for (let work = await this.#queue.take(); work !== undefined; work = await this.#queue.take()) {
      let left: Left = {};
      try {
        signal?.throwIfAborted();
        left = await this.#do(work, engine);
      } finally {
        this.#queue.done(left);
      }
      turnedAway = left.isTaken ? turnedAway + 1 : 0;
      if (turnedAway < this.#queue.length || turnedAway === 0) continue;
      if (turnedAway === this.#queue.length) onEvent?.({ type: "waiting", label: labelOf(work) });
      await delay(LOOK_AGAIN_MS, undefined, signal && { signal }).catch(() => signal?.throwIfAborted());
    }
  }

  async #do(work: Work, engine: EngineChoice): Promise<Left> {
    const { onEvent } = this.#options;
    if (work.kind === "editor" && work.editor.found !== undefined) {
      const { label, found } = work.editor;
      onEvent?.({ type: "editor", label, reused: true, folder: found.folder, etaMs: this.#pace.etaMs() });
      return { next: cellsWith(work, found.folder) };
    }
    const claim = await this.#claims.take(claimOf(work));
    if (claim === undefined) return { last: [work], isTaken: true };
    try {
      return work.kind === "editor"
        ? await this.#train(work, engine, claim)
        : await this.#measure(work, engine, claim);
    } finally {
      await claim.release();
    }
  }

  async #train(work: EditorWork, engine: EngineChoice, claim: Claim): Promise<Left> {
    const { editor, cells } = work;
    const { onEvent, editorsRoot, retrain, budgetMinutes, answering } = this.#options;
    const { methodName, origin, hash, label } = editor;
    // Another run in this folder may have trained it since this one was planned.
    const found = retrain ? undefined : await findEditor(hash, this.#options);
    if (found !== undefined) {
      this.#pace.dropped(trainingOf(editor));
      return { next: [{ ...work, editor: { ...editor, found } }] };
    }
    const [cell] = cells;
    if (cell === undefined)
      throw new SeprogError("INTERNAL", "expected an editor to be trained for at least one cell");
    const outDirectory = join(editorsRoot, hash);
    const workDirectory = this.#workDirectory(editor);
    const startedMs = performance.now();
    const outcome = await this.#attempt(
      work,
      {
        kind: "train",
        engine,
        methodName,
        origin,
        model: editor.model,
        outDirectory,
        workDirectory,
        ...(answering && { answering }),
        ...(budgetMinutes !== undefined && { budgetMinutes }),
      },
      claim,
    );
    if ("left" in outcome) return outcome.left;
    if (outcome.overBudget) {
      await this.#reportOverBudget(work, outcome.overBudget);
      return {};
    }
    await rm(workDirectory, { recursive: true, force: true });
    this.#pace.done(trainingOf(editor), performance.now() - startedMs);
    onEvent?.({ type: "editor", label, reused: false, folder: outDirectory, etaMs: this.#pace.etaMs() });
    return { next: cellsWith(work, outDirectory) };
  }

  async #measure(work: CellWork, engine: EngineChoice, claim: Claim): Promise<Left> {
    const { cell, editorDirectory } = work;
    const { task, model, hash, folder } = cell;
    const known = await measuredBy(work);
    if (known !== undefined) {
      this.#pace.dropped(measuringOf(cell));
      this.#tellMeasured(cell, known);
      return {};
    }
    const startedMs = performance.now();
    const outcome = await this.#attempt(
      work,
      {
        kind: "cell",
        engine,
        ...answeringOf(this.#options),
        task,
        model,
        editorDirectory,
        configHash: hash,
        episodesDirectory: join(this.#options.folder, RUN_FILES.episodes),
        outDirectory: folder,
      },
      claim,
    );
    if ("left" in outcome) return outcome.left;
    const result = cellResultSchema.parse(JSON.parse(await readFile(join(folder, RUN_FILES.result), "utf8")));
    this.#pace.done(measuringOf(cell), performance.now() - startedMs);
    this.#tellMeasured(cell, result);
    return {};
  }

  #tellMeasured({ task }: PlannedCell, result: CellResult): void {
    this.#finished.set(task.name, result);
    const [done, total, etaMs] = [this.#finished.size, this.#total, this.#pace.etaMs()];
    this.#options.onEvent?.({ type: "cell", result, done, total, etaMs });
  }

  /** Gives the job to a process; of a failure says what is left to do. */
  async #attempt(work: Work, job: Job, claim: Claim): Promise<JobOutcome | { readonly left: Left }> {
    const { signal, worker, environment, onEvent } = this.#options;
    const label = labelOf(work);
    const watch = new AttemptWatch(job.engine.device);
    await rm(this.#failureFile(work), { force: true });
    try {
      return await runJob(job, {
        environment,
        onStart: (pid) => claim.addHolder(pid),
        onEvent: (event) => {
          watch.see(event);
          onEvent?.({ type: "job", label, event });
        },
        ...(signal && { signal }),
        ...(worker !== undefined && { worker }),
      });
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof SeprogError)) throw error;
      return { left: await this.#afterFailure(work, error, watch.failed(error)) };
    }
  }

  async #afterFailure(work: Work, error: SeprogError, attempt: Attempt): Promise<Left> {
    const { onEvent } = this.#options;
    const attempts = [...work.attempts, attempt];
    if (attempt.death !== null && attempts.length < MOST_ATTEMPTS) {
      onEvent?.({ type: "retry", label: labelOf(work), error });
      return { last: [{ ...work, attempts }] };
    }
    const label = work.kind === "editor" ? work.editor.label : work.cell.task.name;
    await writeJsonAtomically(this.#failureFile(work), failureRecord(label, error, attempts));
    this.#drop(work);
    this.#failures.push({ label, error });
    onEvent?.({ type: "failed", label, error });
    return {};
  }

  async #reportOverBudget(work: EditorWork, stop: TrainingStop): Promise<void> {
    this.#drop(work);
    const records = work.cells.map(({ task }) => overBudgetRecord(task, stop, this.#options.budgetMinutes));
    for (const [i, { folder }] of work.cells.entries()) {
      await mkdir(folder, { recursive: true });
      await writeJsonAtomically(join(folder, RUN_FILES.overBudget), records[i]);
    }
    this.#overBudget.push(...records);
    const { label } = work.editor;
    this.#options.onEvent?.({ type: "over-budget", label, cells: records, etaMs: this.#pace.etaMs() });
  }

  #drop(work: Work): void {
    if (work.kind === "cell") {
      this.#pace.dropped(measuringOf(work.cell));
      return;
    }
    this.#pace.dropped(trainingOf(work.editor));
    for (const cell of work.cells) this.#pace.dropped(measuringOf(cell));
  }

  #workDirectory({ hash }: PlannedEditor): string {
    return join(this.#options.folder, "training", hash);
  }

  #failureFile(work: Work): string {
    const folder = work.kind === "editor" ? this.#workDirectory(work.editor) : work.cell.folder;
    return join(folder, RUN_FILES.failure);
  }
}

/** Processes of one device share its memory. */
function answeringOf({
  answering,
  jobs,
  devices = [""],
}: SuiteRunOptions): Pick<CellJob, "answering" | "processes"> {
  return { ...(answering && { answering }), processes: Math.max(1, Math.ceil(jobs / devices.length)) };
}

export const needsTraining = ({ isTrained, found }: PlannedEditor): boolean =>
  isTrained && found === undefined;

const untrainedCell = (cell: PlannedCell): CellWork => ({
  kind: "cell",
  cell,
  editorDirectory: null,
  attempts: [],
});

const cellsWith = ({ cells }: EditorWork, editorDirectory: string): CellWork[] =>
  cells.map((cell) => ({ kind: "cell", cell, editorDirectory, attempts: [] }));

const claimOf = (work: Work): string =>
  work.kind === "editor" ? `training-${work.editor.hash}` : work.cell.task.name;

function labelOf(work: Work): string {
  if (work.kind === "editor") return work.editor.label;
  const { editor, dataset, K, seed } = work.cell.task;
  return `${editor.methodName} ${datasetLabel(dataset)} K=${K}, seed ${seed}`;
}

const trainingOf = ({ dataset }: PlannedEditor): PacedJob => ({ kind: "train", dataset });
const measuringOf = ({ task: { dataset, K } }: PlannedCell): PacedJob => ({ kind: "cell", dataset, K });

/** The cell's result, if it stands there for this very editor. */
async function measuredBy({ cell, editorDirectory }: CellWork): Promise<CellResult | undefined> {
  const result = await finishedResult(cell);
  if (result === undefined) return undefined;
  const fingerprint = editorDirectory === null ? null : (await readTrained(editorDirectory)).fingerprint;
  return result.provenance.editorFingerprint === fingerprint ? result : undefined;
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
