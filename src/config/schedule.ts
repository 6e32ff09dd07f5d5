import { z } from "zod";

/** Linear warm-up from 0, then constant or linear to `endFactor` × learningRate at the last step. */
export const scheduleFields = {
  learningRate: z.number().positive(),
  warmupSteps: z.int().min(0),
  schedule: z.enum(["constant", "linear"]),
  /** What a linear schedule ends at, as a share of `learningRate`. */
  endFactor: z.number().min(0).max(1),
};
