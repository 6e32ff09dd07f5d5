import type { EditRequests, EpisodeBatch, Generation, StepResult } from "../native/addon.js";
import type { EditedModel, Model } from "../native/engine.js";
import { BATCH_PHASE } from "./phase_groups.js";
import type { Level, Operation } from "./recorder.js";
import type { Asked, Questions, Workload } from "./workload.js";

interface Call {
  readonly measure: Level;
  readonly signal?: AbortSignal;
}

/** What is asked of an editor whose training step is measured. */
export interface Trainable {
  trainStep(batch: EpisodeBatch, options: Call & { readonly learningRate: number }): Promise<StepResult>;
}

/** Next to none: the cost does not depend on the weights' values, and they should stay finite. */
const LEARNING_RATE = 1e-9;

/** One optimiser step on one episode, from drawing it (metrics.md §7, a). */
export function trainStepOperation(
  editor: Trainable,
  trainBatch: () => Promise<EpisodeBatch>,
  signal: AbortSignal | undefined,
): Operation {
  return async (timer) => {
    const batch = await timer.host(BATCH_PHASE, trainBatch);
    const call = { learningRate: LEARNING_RATE, measure: timer.level, ...(signal && { signal }) };
    await timer.call("train", () => editor.trainStep(batch, call));
  };
}

/** What is asked of an editor whose inference is measured. */
export interface Editing<Base = Model, Answering extends Answers = EditedModel> {
  edit(
    requests: EditRequests,
    onto: Base,
    options: Call,
  ): Promise<StepResult & { readonly model: Answering }>;
}

interface Answers {
  generate(source: Questions["source"], options: Questions["options"] & Call): Promise<Generation>;
  dispose(): Promise<void>;
}

export interface InferenceInput<Base, Answering extends Answers> {
  readonly editor: Editing<Base, Answering>;
  readonly base: Base;
  readonly workload: Workload;
  readonly asked: Asked;
  /** Answers in place of the edited model: one that takes every input as in scope. */
  readonly instead?: Answers | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onAnswers: (generation: Generation) => void;
}

/** Applying K edits and answering K inputs in one batch (metrics.md §7, b), from writing them as tokens. */
export function inferenceOperation<Base, Answering extends Answers>({
  editor,
  base,
  workload,
  asked,
  instead,
  signal,
  onAnswers,
}: InferenceInput<Base, Answering>): Operation {
  return async (timer) => {
    const call = { measure: timer.level, ...(signal && { signal }) };
    const [requests, { source, options }] = await timer.host(
      BATCH_PHASE,
      () => [workload.requests(), workload.questions(asked)] as const,
    );
    const { model } = await timer.call("apply", () => editor.edit(requests, base, call));
    timer.afterwards(() => model.dispose());
    const answering = instead ?? model;
    onAnswers(await timer.call("answer", () => answering.generate(source, { ...options, ...call })));
  };
}
