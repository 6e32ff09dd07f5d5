import type { OnEvent } from "../training/events.js";
import { Pace } from "../training/progress.js";

export interface RepeatOptions {
  /** Discarded runs before the first that counts. */
  readonly warmUps: number;
  readonly repetitions: number;
  readonly onEvent?: OnEvent;
}

/** Runs `once` again and again, telling how it goes; resolves to what the repetitions that count resolved to. */
export async function repeat<T>(
  { warmUps, repetitions, onEvent }: RepeatOptions,
  once: () => Promise<T>,
): Promise<T[]> {
  const total = warmUps + repetitions;
  const pace = new Pace(0, total);
  const samples: T[] = [];
  for (let i = 0; i < total; i++) {
    const sample = await once();
    if (i >= warmUps) samples.push(sample);
    onEvent?.({
      type: "progress",
      phase: "measure",
      step: i + 1,
      total,
      figures: {},
      elapsedMs: pace.elapsedMs,
      etaMs: pace.etaMs(i + 1),
    });
  }
  return samples;
}
