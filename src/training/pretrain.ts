import { z } from "zod";
import type { RecipeConfig } from "../config/recipe.js";
import type { PairRows, StepResult } from "../native/addon.js";
import { CheckpointFolder, type Restorable } from "./checkpoint.js";
import type { OnEvent } from "./events.js";
import { LookAhead } from "./look_ahead.js";
import { explainNonFinite } from "./non_finite.js";
import type { ExaminationFigure, Examined, PretrainingTask } from "./pretraining_task.js";
import { Pace, RunningFigures } from "./progress.js";
import { learningRateAt } from "./schedule.js";

/** A fine-tuner as the loop needs it. */
export interface TrainableModel extends Restorable {
  trainStep(
    batch: PairRows,
    options: { readonly learningRate: number; readonly signal?: AbortSignal },
  ): Promise<StepResult>;
  snapshot(): Promise<Examined & { dispose(): Promise<void> }>;
}

export interface PretrainingInput {
  readonly tuner: TrainableModel;
  readonly task: PretrainingTask;
  readonly recipe: RecipeConfig;
}

export interface PretrainingOptions {
  /** Checkpoints are kept below this folder. */
  readonly directory: string;
  /** Hash of everything that decides the run: a checkpoint of another run is refused. */
  readonly identity: string;
  readonly resume?: boolean;
  readonly signal?: AbortSignal;
  readonly onEvent?: OnEvent;
}

const stateSchema = z.strictObject({
  step: z.int().nonnegative(),
  wallMs: z.number(),
  history: z.array(
    z.strictObject({ step: z.int(), recall: z.number().optional(), perplexity: z.number().optional() }),
  ),
});
type State = z.infer<typeof stateSchema>;

export interface PretrainingRecord {
  readonly steps: number;
  readonly wallMs: number;
  /** The task's figure on a fixed sample, as training went on. */
  readonly history: State["history"];
}

/** Optimiser steps of the whole run. */
export function pretrainingSteps(itemCount: number, { epochs, batchSize }: RecipeConfig["training"]): number {
  return Math.max(1, Math.round((epochs * itemCount) / batchSize));
}

/**
 * Teaches a model a task: batches of (source, target), one rate schedule, no early stopping. The tuner ends with the
 * last weights. Stopped at any moment it leaves a checkpoint, and going on from it gives the same bits.
 * @throws the signal's reason when aborted; SeprogError NON_FINITE, CHECKPOINT_INVALID as `train`
 */
export async function pretrain(
  { tuner, task, recipe }: PretrainingInput,
  { directory, identity, resume = true, signal, onEvent }: PretrainingOptions,
): Promise<PretrainingRecord> {
  const { training } = recipe;
  const total = pretrainingSteps(task.itemCount, training);
  const checkpoints = new CheckpointFolder(directory, identity, stateSchema);
  if (!resume) await checkpoints.clear();
  const latest = await checkpoints.latest();
  const state: State = latest?.state ?? { step: 0, wallMs: 0, history: [] };
  if (latest !== null) await tuner.restore(latest.directory, { optimizer: true });

  const pace = new Pace(state.step, total);
  const wallMsBefore = state.wallMs;
  const running = new RunningFigures();

  const checkpoint = async (): Promise<void> => {
    state.wallMs = wallMsBefore + pace.elapsedMs;
    onEvent?.({
      type: "checkpoint",
      step: state.step,
      directory: await checkpoints.save(state.step, state, tuner),
    });
  };

  let drawn = state.step;
  const lookAhead = new LookAhead(() => task.batch(drawn++));
  while (state.step < total) {
    const learningRate = learningRateAt(state.step, total, training);
    const batch = await lookAhead.take();
    const stepping = tuner.trainStep(batch, { learningRate, ...(signal && { signal }) });
    if (state.step + 1 < total) lookAhead.prepare();
    const { figures } = await stepping.catch(async (error: unknown) => {
      if (signal?.aborted) await checkpoint();
      throw explainNonFinite(error, state.step, directory);
    });
    state.step += 1;
    running.add(figures);
    onEvent?.({
      type: "progress",
      phase: "pretrain",
      step: state.step,
      total,
      figures: { ...running.current(), learningRate },
      elapsedMs: pace.elapsedMs,
      etaMs: pace.etaMs(state.step),
    });

    const last = state.step === total;
    if (last || state.step % training.validateEverySteps === 0) {
      const figures = await examineNow(tuner, task);
      state.history.push({ step: state.step, ...figures });
      onEvent?.({
        type: "validation",
        step: state.step,
        figures: { ...figures },
        best: false,
        patienceLeftEpochs: null,
      });
    }
    if (last || state.step % training.checkpointEverySteps === 0) await checkpoint();
  }
  onEvent?.({
    type: "finish",
    phase: "pretrain",
    reason: "completed",
    step: state.step,
    figures: running.current(),
  });
  return { steps: state.step, wallMs: state.wallMs, history: state.history };
}

async function examineNow(tuner: TrainableModel, task: PretrainingTask): Promise<ExaminationFigure> {
  const model = await tuner.snapshot();
  try {
    return await task.examine(model);
  } finally {
    await model.dispose();
  }
}
