import { monitorEventLoopDelay } from "node:perf_hooks";
import { z } from "zod";
import type { TrainingConfig } from "../config/training.js";
import type { EpisodeBatch, Measurement } from "../native/addon.js";
import { CheckpointFolder, type Restorable } from "./checkpoint.js";
import { EarlyStopping, earlyStoppingStateSchema } from "./early_stopping.js";
import type { Figures, OnEvent } from "./events.js";
import { LookAhead } from "./look_ahead.js";
import { explainNonFinite } from "./non_finite.js";
import { Pace, RunningFigures } from "./progress.js";
import { learningRateAt } from "./schedule.js";
import { type CostEstimate, StepCosts } from "./step_costs.js";

interface Step {
  readonly figures: Figures;
  readonly measurement?: Measurement;
}

/** An editor as the loop needs it. */
export interface TrainableEditor extends Restorable {
  trainStep(
    batch: EpisodeBatch,
    options: {
      readonly learningRate: number;
      /** What the schedule makes of a full rate: for rates that the editor has of its own. */
      readonly rateFactor: number;
      readonly signal?: AbortSignal;
      readonly measure?: boolean;
    },
  ): Promise<Step>;
  calibrate(sample: EpisodeBatch, options?: { readonly signal?: AbortSignal }): Promise<Step>;
  validate(batch: EpisodeBatch, options?: { readonly signal?: AbortSignal }): Promise<Step>;
}

/** Training steps in a seeded order that can be left and taken up again. */
export interface EpisodeSource {
  /**
   * The episodes of one step and the source's state right after the draw, plain JSON. A checkpoint holds the state of
   * the last *used* batch: one that was drawn ahead and never used is drawn again after a resume.
   */
  next(): Promise<{ readonly batch: EpisodeBatch; readonly stateAfter: z.core.util.JSONType }>;
  restore(state: z.core.util.JSONType): void;
}

export interface TrainingInput {
  readonly editor: TrainableEditor;
  readonly episodes: EpisodeSource;
  /** The same for the whole run. */
  readonly validation: readonly EpisodeBatch[];
  /** Rows for a start that depends on data; absent for editors that start without. */
  readonly sample?: EpisodeBatch;
  readonly config: TrainingConfig;
}

export interface TrainingOptions {
  /** Checkpoints are kept below this folder. */
  readonly directory: string;
  /** Hash of everything that decides the run: a checkpoint of another run is refused. */
  readonly identity: string;
  /** Go on from the newest checkpoint, if there is one. Default true; false deletes what is there. */
  readonly resume?: boolean;
  /** Most time for the steps, over all parts of a resumed run; a run that is stopped by it can go on with more. */
  readonly budgetMs?: number;
  readonly signal?: AbortSignal;
  readonly onEvent?: OnEvent;
}

const figuresSchema = z.record(z.string(), z.number());

const stateSchema = z.strictObject({
  /** Steps done. */
  step: z.int().nonnegative(),
  episodes: z.json(),
  earlyStopping: earlyStoppingStateSchema,
  history: z.array(z.strictObject({ step: z.int(), figures: figuresSchema })),
  wallMs: z.number(),
  finished: z.enum(["completed", "early-stopped"]).nullable(),
});
type State = z.infer<typeof stateSchema>;

/** What a finished run tells about itself. */
export interface TrainingRecord {
  readonly steps: number;
  /** Over budget the editor is left as its last step made it: it is not a trained one. */
  readonly reason: "completed" | "early-stopped" | "over-budget";
  readonly bestStep: number;
  readonly bestLoss: number;
  /** Validation figures in order. */
  readonly history: State["history"];
  /** Over all parts of a resumed run. */
  readonly wallMs: number;
  /** Of optimiser steps of this process; null if it took too few. */
  readonly stepWallMs: CostEstimate | null;
  readonly peakBytes: CostEstimate | null;
  /** Longest time the event loop did not come round while training. */
  readonly eventLoopBlockMs: { readonly p99: number; readonly max: number };
}

/**
 * Trains an editor (seprog.md §5): sample, step, now and then validate and keep the best; early stopping; the editor
 * ends with its best weights. Stopped at any moment it leaves a checkpoint, and going on from it gives the same bits.
 *
 * @throws the signal's reason when aborted, after writing a checkpoint; SeprogError NON_FINITE when the loss explodes,
 * with the last good checkpoint kept; CHECKPOINT_INVALID when `directory` holds another run's checkpoint
 */
export async function train(input: TrainingInput, options: TrainingOptions): Promise<TrainingRecord> {
  const { editor, episodes, config } = input;
  const { signal, onEvent } = options;
  const checkpoints = new CheckpointFolder(options.directory, options.identity, stateSchema);
  const state = await startOrResume(input, options, checkpoints);
  const stopping = new EarlyStopping(config.patienceEpochs * config.stepsPerEpoch, state.earlyStopping);
  const lookAhead = new LookAhead(() => episodes.next());
  const pace = new Pace(state.step, config.steps);
  const wallMsBefore = state.wallMs;
  const running = new RunningFigures();
  const costs = new StepCosts();
  using blocks = watchEventLoop();

  const checkpoint = async (): Promise<void> => {
    state.earlyStopping = stopping.state();
    state.wallMs = wallMsBefore + pace.elapsedMs;
    const directory = await checkpoints.save(state.step, state, editor, stopping.bestStep);
    onEvent?.({ type: "checkpoint", step: state.step, directory });
  };

  /** Stopped inside `work`, the run leaves a checkpoint of the last whole step. */
  const guarded = <T>(work: Promise<T>): Promise<T> =>
    work.catch(async (error: unknown) => {
      if (signal?.aborted) await checkpoint();
      throw explainNonFinite(error, state.step, options.directory);
    });

  const takeStep = async (): Promise<void> => {
    const { batch, stateAfter } = await lookAhead.take();
    const learningRate = learningRateAt(state.step, config.steps, config);
    const stepping = editor.trainStep(batch, {
      learningRate,
      rateFactor: learningRate / config.learningRate,
      measure: costs.due,
      ...(signal && { signal }),
    });
    if (state.step + 1 < config.steps) lookAhead.prepare();
    const { figures, measurement } = await guarded(stepping);
    state.step += 1;
    state.episodes = stateAfter;
    costs.add(measurement);
    running.add(figures);
    onEvent?.({
      type: "progress",
      phase: "train",
      step: state.step,
      total: config.steps,
      figures: { ...running.current(), learningRate },
      elapsedMs: pace.elapsedMs,
      etaMs: pace.etaMs(state.step),
    });
  };

  const validateAndKeepBest = async (): Promise<void> => {
    const figures = await guarded(validate(input, signal));
    const best = stopping.observe(state.step, figures.loss);
    if (best) await checkpoints.saveBest(state.step, editor);
    state.history.push({ step: state.step, figures });
    const stepsLeft = stopping.stepsLeft(state.step);
    if (state.step === config.steps) state.finished = "completed";
    else if (stepsLeft === 0) state.finished = "early-stopped";
    const patienceLeftEpochs = Math.floor(stepsLeft / config.stepsPerEpoch);
    onEvent?.({ type: "validation", step: state.step, figures, best, patienceLeftEpochs });
  };

  const { budgetMs = Number.POSITIVE_INFINITY } = options;
  const isOverBudget = (): boolean => wallMsBefore + pace.elapsedMs >= budgetMs;

  while (state.finished === null && !isOverBudget()) {
    if (!validationIsDue(state, config)) await takeStep();
    const validated = validationIsDue(state, config);
    if (validated) await validateAndKeepBest();
    if (validated || state.step % (config.checkpointEveryEpochs * config.stepsPerEpoch) === 0)
      await checkpoint();
  }

  if (state.finished === null) await checkpoint();
  else await editor.restore(checkpoints.bestDirectory(stopping.bestStep));
  const record: TrainingRecord = {
    steps: state.step,
    reason: state.finished ?? "over-budget",
    bestStep: stopping.bestStep,
    bestLoss: stopping.state().bestLoss ?? Number.NaN,
    history: state.history,
    wallMs: state.wallMs,
    stepWallMs: costs.wallMs,
    peakBytes: costs.peakBytes,
    eventLoopBlockMs: blocks.read(),
  };
  onEvent?.({
    type: "finish",
    phase: "train",
    reason: record.reason,
    step: record.steps,
    figures: state.history.find(({ step }) => step === record.bestStep)?.figures ?? {},
  });
  return record;
}

async function startOrResume(
  { editor, episodes, sample }: TrainingInput,
  { resume = true, signal }: TrainingOptions,
  checkpoints: CheckpointFolder<typeof stateSchema>,
): Promise<State> {
  if (!resume) await checkpoints.clear();
  const latest = await checkpoints.latest();
  if (latest === null) {
    if (sample !== undefined) await editor.calibrate(sample, signal && { signal });
    return {
      step: 0,
      episodes: null,
      earlyStopping: { bestLoss: null, bestStep: 0 },
      history: [],
      wallMs: 0,
      finished: null,
    };
  }
  await editor.restore(latest.directory, { optimizer: true });
  if (latest.state.step > 0) episodes.restore(latest.state.episodes);
  return latest.state;
}

/** A run that was stopped between a step and its validation resumes with the validation. */
function validationIsDue({ step, history }: State, config: TrainingConfig): boolean {
  const onSchedule = step > 0 && step % (config.validateEveryEpochs * config.stepsPerEpoch) === 0;
  return (onSchedule || step === config.steps) && history.at(-1)?.step !== step;
}

/** Mean figures over the fixed validation episodes. */
async function validate(
  { editor, validation }: TrainingInput,
  signal: AbortSignal | undefined,
): Promise<{ [name: string]: number; loss: number }> {
  const sums: { [name: string]: number; loss: number } = { loss: 0 };
  for (const batch of validation) {
    const { figures } = await editor.validate(batch, signal && { signal });
    for (const [name, value] of Object.entries(figures))
      sums[name] = (sums[name] ?? 0) + value / validation.length;
  }
  return sums;
}

/** Node's histogram holds the time between two rounds of a timer, so the timer's own period is taken off. */
function watchEventLoop(): Disposable & { read(): { p99: number; max: number } } {
  const periodMs = 1;
  const histogram = monitorEventLoopDelay({ resolution: periodMs });
  histogram.enable();
  const blockMs = (ns: number): number => Math.max(0, ns / 1e6 - periodMs);
  return {
    read: () => ({ p99: blockMs(histogram.percentile(99)), max: blockMs(histogram.max) }),
    [Symbol.dispose]: () => histogram.disable(),
  };
}
