export interface LearningRateSchedule {
  readonly learningRate: number;
  readonly warmupSteps: number;
  readonly schedule: "constant" | "linear";
  /** What a linear schedule ends at, as a share of `learningRate`. */
  readonly endFactor: number;
}

/**
 * Learning rate of a step, counted from 0: linear warm-up from 0 over `warmupSteps` (seprog.md §5), times a decay that
 * reaches `endFactor` at the last of `totalSteps`.
 */
export function learningRateAt(step: number, totalSteps: number, schedule: LearningRateSchedule): number {
  const warmup = schedule.warmupSteps === 0 ? 1 : Math.min(1, (step + 1) / schedule.warmupSteps);
  const done = totalSteps <= 1 ? 0 : Math.min(1, step / (totalSteps - 1));
  const decay = schedule.schedule === "linear" ? 1 - (1 - schedule.endFactor) * done : 1;
  return schedule.learningRate * warmup * decay;
}
