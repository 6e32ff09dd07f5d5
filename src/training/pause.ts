import { setImmediate as nextRound } from "node:timers/promises";

const SLICE_MS = 2;

/** Lets the event loop come round now and then during long synchronous work such as tokenising a data set. */
export class Breather {
  #sliceStartedMs = performance.now();

  async pause(): Promise<void> {
    if (performance.now() - this.#sliceStartedMs < SLICE_MS) return;
    await nextRound();
    this.#sliceStartedMs = performance.now();
  }
}
