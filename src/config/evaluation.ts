import { z } from "zod";
import { outScopeSchema } from "./out_scope.js";

/** How a cell is measured (metrics.md; datasets.md section 8). */
export const evaluationSchema = z.strictObject({
  split: z.enum(["validation", "test"]).default("test"),
  /** Episodes per K: ⌈maxEdits / K⌉, at least `minEpisodes`, at most what the split holds. */
  maxEdits: z.int().positive().default(2000),
  minEpisodes: z.int().positive().default(8),
  /** Clean rephrases an edit is scored on, at most. */
  rephrasesPerEdit: z.int().positive().default(1),
  outScope: outScopeSchema.prefault({}),
  /** Share of edits that ask for what the base model says already; `ESchanged` is of the others. */
  keepShare: z.number().min(0).max(1).default(0),
  /** Edits that act by what follows from them: only those that the base model denies (SLAG). */
  onlyWrong: z.boolean().default(false),
  /** "scope": the classifier decides per input; "always": every input is prompted (shows what the gate costs). */
  gate: z.enum(["scope", "always"]).default("scope"),
  batchSize: z.int().positive().default(128),
  maxNewTokens: z.int().positive().default(32),
  bootstrap: z
    .strictObject({
      samples: z.int().positive().default(1000),
      level: z.number().gt(0).lt(1).default(0.95),
    })
    .prefault({}),
  /** Repetitions of the timed training step and of the timed inference, and discarded ones before them. */
  timing: z
    .strictObject({
      warmUps: z.int().min(0).default(2),
      repetitions: z.int().positive().default(10),
    })
    .prefault({}),
});

export type EvaluationConfig = z.infer<typeof evaluationSchema>;
