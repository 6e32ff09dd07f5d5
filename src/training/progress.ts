import { performance } from "node:perf_hooks";

/** Estimates the time left of a loop from the pace of the steps done in this process. */
export class Pace {
  readonly #startedMs = performance.now();
  readonly #firstStep: number;
  readonly #total: number;

  constructor(firstStep: number, total: number) {
    this.#firstStep = firstStep;
    this.#total = total;
  }

  get elapsedMs(): number {
    return performance.now() - this.#startedMs;
  }

  /** Milliseconds left after `step` steps; null before the first step is done. */
  etaMs(step: number): number | null {
    const done = step - this.#firstStep;
    return done <= 0 ? null : (this.elapsedMs / done) * (this.#total - step);
  }
}

/** Exponential moving average of named figures, for display only. */
export class RunningFigures {
  readonly #values = new Map<string, number>();
  readonly #weight: number;

  /** @param weight share of the newest value */
  constructor(weight = 0.05) {
    this.#weight = weight;
  }

  add(figures: { readonly [name: string]: number }): void {
    for (const [name, value] of Object.entries(figures)) {
      const before = this.#values.get(name) ?? value;
      this.#values.set(name, before + this.#weight * (value - before));
    }
  }

  current(): { [name: string]: number } {
    return Object.fromEntries(this.#values);
  }
}
