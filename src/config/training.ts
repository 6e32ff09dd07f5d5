import { z } from "zod";
import { scheduleFields } from "./schedule.js";

/** Training of an editor. Defaults are seprog.md section 5; an epoch is `stepsPerEpoch` optimiser steps. */
export const trainingSchema = z.strictObject({
  /** Data sets whose train split is used; empty: the one that is evaluated. With several, each episode draws one. */
  datasets: z.array(z.string().min(1)).default([]),
  /** K of an episode, drawn uniformly for each step. */
  k: z.array(z.int().positive()).min(1).default([64]),
  /** A step packs ⌊editsPerStep / K⌋ episodes, at least one. */
  editsPerStep: z.int().positive().default(64),
  /** Chance that an in-scope input is the edit's own input rather than another wording of it. */
  selfProbability: z.number().min(0).max(1).default(0),
  /** Share of hard out-of-scope inputs (same relation or subject neighbourhood) among the out-of-scope ones. */
  hardProbability: z.number().min(0).max(1).default(0),
  /** Share of in-scope inputs that carry the data set's noisy wordings (an unrelated sentence in front). */
  noisyProbability: z.number().min(0).max(1).default(0),
  learningRate: scheduleFields.learningRate.default(5e-5),
  warmupSteps: scheduleFields.warmupSteps.default(10_000),
  schedule: scheduleFields.schedule.default("constant"),
  endFactor: scheduleFields.endFactor.default(0.05),
  steps: z.int().positive().default(100_000),
  stepsPerEpoch: z.int().positive().default(50),
  validateEveryEpochs: z.int().positive().default(10),
  validationEpisodes: z.int().positive().default(64),
  /** Epochs without a lower validation loss before training stops. */
  patienceEpochs: z.int().positive().default(200),
  checkpointEveryEpochs: z.int().positive().default(10),
});

export type TrainingConfig = z.infer<typeof trainingSchema>;
