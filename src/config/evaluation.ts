import { z } from "zod";
import { outScopeSchema } from "./out_scope.js";

/** Edits one after the other, each on top of those before it. */
const sequentialSchema = z
  .strictObject({
    /** When an edit is asked about: right after it, after the last one, or `gap` edits later. */
    schedule: z.enum(["immediate", "final", "gap"]),
    gap: z.int().positive().optional(),
    /** Edits that are made at once, and count as of one age. */
    editsPerStep: z.int().positive().default(1),
  })
  .superRefine(({ schedule, gap }, context) => {
    if ((schedule === "gap") !== (gap !== undefined))
      context.addIssue({
        code: "custom",
        path: ["gap"],
        message: `expected a number of edits exactly with schedule: gap but received ${gap ?? "none"} with schedule: ${schedule}`,
      });
  });

export type SequentialConfig = z.infer<typeof sequentialSchema>;

/** How a cell is measured (metrics.md; datasets.md section 8). */
const evaluationFields = z.strictObject({
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
  /** Absent: all K edits at once. */
  sequential: sequentialSchema.optional(),
  /** Most rows a call of the engine; fewer where the budget of memory holds fewer. Figures do not depend on it. */
  batchSize: z.int().positive().default(512),
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

export const evaluationSchema = evaluationFields.superRefine(({ gate, sequential }, context) => {
  if (gate === "always" && sequential !== undefined)
    context.addIssue({
      code: "custom",
      path: ["sequential"],
      message: "expected edits at once with gate: always but received a schedule",
    });
});

export type EvaluationConfig = z.infer<typeof evaluationSchema>;

/** The schedule's name in records: `simultaneous`, `immediate`, `final`, `gap=4`; `final by 8` with 8 edits a step. */
export function scheduleName(sequential: SequentialConfig | undefined): string {
  if (sequential === undefined) return "simultaneous";
  const { schedule, gap, editsPerStep } = sequential;
  const name = schedule === "gap" ? `gap=${gap}` : schedule;
  return editsPerStep === 1 ? name : `${name} by ${editsPerStep}`;
}
