import { z } from "zod";

export const earlyStoppingStateSchema = z.strictObject({
  bestLoss: z.number().nullable(),
  bestStep: z.int().nonnegative(),
});
export type EarlyStoppingState = z.infer<typeof earlyStoppingStateSchema>;

/** Keeps the lowest validation loss and says when it has not improved for `patienceSteps` optimiser steps. */
export class EarlyStopping {
  readonly #patienceSteps: number;
  #bestLoss: number | null;
  #bestStep: number;

  constructor(patienceSteps: number, state: EarlyStoppingState = { bestLoss: null, bestStep: 0 }) {
    this.#patienceSteps = patienceSteps;
    this.#bestLoss = state.bestLoss;
    this.#bestStep = state.bestStep;
  }

  /** @returns whether `loss` is the lowest so far; an equal loss is not */
  observe(step: number, loss: number): boolean {
    const better = this.#bestLoss === null ? Number.isFinite(loss) : loss < this.#bestLoss;
    if (better) {
      this.#bestLoss = loss;
      this.#bestStep = step;
    }
    return better;
  }

  /** Steps left at `step` until training should stop; never negative. */
  stepsLeft(step: number): number {
    return Math.max(0, this.#bestStep + this.#patienceSteps - step);
  }

  get bestStep(): number {
    return this.#bestStep;
  }

  state(): EarlyStoppingState {
    return { bestLoss: this.#bestLoss, bestStep: this.#bestStep };
  }
}
