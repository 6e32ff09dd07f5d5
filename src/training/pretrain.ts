import { z } from "zod";
import type { RecipeConfig } from "../config/recipe.js";
import { Rng } from "../data/random.js";
import type { PairRows, StepResult } from "../native/addon.js";
import type { EditCodec } from "../tokenizers/edit_codec.js";
import { CheckpointFolder, type Restorable } from "./checkpoint.js";
import type { OnEvent } from "./events.js";
import { FactBatches } from "./fact_batches.js";
import { type Fact, tokeniseFacts } from "./facts.js";
import { LookAhead } from "./look_ahead.js";
import { explainNonFinite } from "./non_finite.js";
import { Pace, RunningFigures } from "./progress.js";
import { type Answering, measureRecall } from "./recall.js";
import { learningRateAt } from "./schedule.js";

/** A fine-tuner as the loop needs it. */
export interface TrainableModel extends Restorable {
  trainStep(
    batch: PairRows,
    options: { readonly learningRate: number; readonly signal?: AbortSignal },
  ): Promise<StepResult>;
  snapshot(): Promise<Answering & { dispose(): Promise<void> }>;
}

export interface PretrainingInput {
  readonly tuner: TrainableModel;
  readonly facts: readonly Fact[];
  readonly codec: EditCodec;
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
  history: z.array(z.strictObject({ step: z.int(), recall: z.number() })),
});
type State = z.infer<typeof stateSchema>;

export interface PretrainingRecord {
  readonly steps: number;
  readonly wallMs: number;
  /** Share of a fixed sample of wordings answered right, as training went on. */
  readonly history: State["history"];
}

/** Optimiser steps of the whole run. */
export function pretrainingSteps(factCount: number, { epochs, batchSize }: RecipeConfig["training"]): number {
  return Math.max(1, Math.round((epochs * factCount) / batchSize));
}

/**
 * Teaches a model facts: batches of (wording, answer), one rate schedule, no early stopping. The tuner ends with the
 * last weights. Stopped at any moment it leaves a checkpoint, and going on from it gives the same bits.
 * @throws the signal's reason when aborted; SeprogError NON_FINITE, CHECKPOINT_INVALID as `train`
 */
export async function pretrain(
  { tuner, facts, codec, recipe }: PretrainingInput,
  { directory, identity, resume = true, signal, onEvent }: PretrainingOptions,
): Promise<PretrainingRecord> {
  const { training, seed } = recipe;
  const total = pretrainingSteps(facts.length, training);
  const checkpoints = new CheckpointFolder(directory, identity, stateSchema);
  if (!resume) await checkpoints.clear();
  const latest = await checkpoints.latest();
  const state: State = latest?.state ?? { step: 0, wallMs: 0, history: [] };
  if (latest !== null) await tuner.restore(latest.directory, { optimizer: true });

  const tokenised = await tokeniseFacts(facts, codec, onEvent);
  const batches = new FactBatches(tokenised, { ...training, seed });
  const probes = sampleWordings(facts, training.validationRows, seed);
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
  const lookAhead = new LookAhead(() => batches.at(drawn++));
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
      const recall = await recallOf(tuner, probes, codec, recipe.text.maxTargetTokens);
      state.history.push({ step: state.step, recall });
      onEvent?.({
        type: "validation",
        step: state.step,
        figures: { recall },
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

/** One wording each of at most `count` facts, the same whenever asked. */
function sampleWordings(facts: readonly Fact[], count: number, seed: number): Fact[] {
  const rng = Rng.fromSeed(seed ^ 0x5a5a5a5a);
  const drawn = rng.shuffle([...facts]).slice(0, count);
  return drawn.map(({ wordings, answers }) => ({ wordings: [rng.pick(wordings)], answers }));
}

async function recallOf(
  tuner: TrainableModel,
  probes: readonly Fact[],
  codec: EditCodec,
  maxNewTokens: number,
): Promise<number> {
  const model = await tuner.snapshot();
  try {
    const recall = await measureRecall(model, probes, codec, { batchSize: 512, maxNewTokens });
    return recall.wordingsRight / recall.wordings;
  } finally {
    await model.dispose();
  }
}
