import { medianEstimate } from "../metrics/bootstrap.js";
import type { Measurement } from "../native/addon.js";

/** Steps before this one warm caches and allocators up and are not counted. */
const WARM_UP_STEPS = 10;
const SAMPLE_EVERY = 10;
const MAX_SAMPLES = 200;

export interface CostEstimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly n: number;
}

/** Wall time and peak memory of a sample of the steps of a running training: medians with their intervals. */
export class StepCosts {
  readonly #wallMs: number[] = [];
  readonly #peakBytes: number[] = [];
  #seen = 0;

  /** Whether the next step should be measured. */
  get due(): boolean {
    return (
      this.#seen >= WARM_UP_STEPS && this.#seen % SAMPLE_EVERY === 0 && this.#wallMs.length < MAX_SAMPLES
    );
  }

  add(measurement: Measurement | undefined): void {
    this.#seen += 1;
    if (measurement === undefined) return;
    this.#wallMs.push(measurement.total.wallNs / 1e6);
    this.#peakBytes.push(measurement.total.peakBytes);
  }

  get wallMs(): CostEstimate | null {
    return medianEstimate(this.#wallMs);
  }

  get peakBytes(): CostEstimate | null {
    return medianEstimate(this.#peakBytes);
  }
}
