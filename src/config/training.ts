import { z } from "zod";
import { outScopeSchema } from "./out_scope.js";
import { scheduleFields } from "./schedule.js";

/** Training of an editor. Defaults are seprog.md section 5; an epoch is `stepsPerEpoch` optimiser steps. */
const trainingFields = z.strictObject({
  /** Data sets whose train split is used; empty: the one that is evaluated. With several, each episode draws one. */
  datasets: z.array(z.string().min(1)).default([]),
  /** K of an episode. */
  k: z.array(z.int().positive()).min(1).default([64]),
  /**
   * With several K: `drawn` takes one of them, uniformly, for each step; `nested` draws episodes of the largest K and
   * also sees the same rows as episodes of the smaller ones, so that every step trains every K.
   */
  kMixing: z.enum(["drawn", "nested"]).default("drawn"),
  /** A step packs ⌊editsPerStep / K⌋ episodes, at least one. */
  editsPerStep: z.int().positive().default(64),
  /** A step packs just so many episodes, whatever their K: what the papers accumulate. In place of `editsPerStep`. */
  episodesPerStep: z.int().positive().optional(),
  /** Whether an edit asks for a label of its own record, or for any answer of its relation. */
  labels: z.enum(["given", "relation"]).default("relation"),
  /** Share of edits that ask for what the base model says already (MEND's fact checking: 0.5). */
  keepShare: z.number().min(0).max(1).default(0),
  /** Whether an edit is put in the record's own words or in any of its wordings. */
  editPhrasing: z.enum(["canonical", "any"]).default("any"),
  /** Share of in-scope inputs that are the edit's own input; the rest are rephrases. */
  selfShare: z.number().min(0).max(1).default(0.2),
  /** Share of in-scope inputs that carry an unrelated sentence in front, where the record has such. */
  noisyShare: z.number().min(0).max(1).default(0),
  outScope: outScopeSchema.prefault({}),
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

export const trainingSchema = trainingFields.superRefine(({ k, kMixing }, context) => {
  const largest = Math.max(...k);
  k.forEach((one, i) => {
    if (kMixing === "nested" && largest % one !== 0)
      context.addIssue({
        code: "custom",
        path: ["k", i],
        message: `expected a divisor of the largest K (${largest}) with kMixing: nested but received ${one}`,
      });
  });
});

export type TrainingConfig = z.infer<typeof trainingSchema>;
