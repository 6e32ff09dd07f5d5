import type { SequentialConfig } from "../config/evaluation.js";
import type { Episode } from "../data/types.js";

/** Edits made at once: their positions in the episode. */
export type SequenceStep = readonly number[];

/** The steps of an episode of K edits, in order. */
export function sequenceSteps(K: number, { editsPerStep }: SequentialConfig): SequenceStep[] {
  const positions = [...Array(K).keys()];
  const steps: SequenceStep[] = [];
  for (let from = 0; from < K; from += editsPerStep) steps.push(positions.slice(from, from + editsPerStep));
  return steps;
}

/** The step after which an edit of step `made` is asked about; what would come after the last step comes at the last. */
export function askedAfter(
  made: number,
  stepCount: number,
  { schedule, gap = 0, editsPerStep }: SequentialConfig,
): number {
  const last = stepCount - 1;
  if (schedule === "final") return last;
  return Math.min(last, schedule === "immediate" ? made : made + Math.ceil(gap / editsPerStep));
}

/** Whether retention is looked at when so many steps were made after an edit's own: 0, 1, 2, 4, 8, … */
export const isRetentionAge = (steps: number): boolean => steps === 0 || Number.isInteger(Math.log2(steps));

/** The edits of a step as an episode of their own, without questions. */
export const editsOfStep = ({ edits }: Episode, step: SequenceStep): Episode => ({
  edits: edits.filter((_, position) => step.includes(position)),
  inScope: [],
  outScope: [],
});
