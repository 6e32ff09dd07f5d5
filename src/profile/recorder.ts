import { SeprogError } from "../errors.js";
import type { Measured, Measurement } from "../native/addon.js";

/** How closely the engine's calls are measured; what takes times and what takes detail are never one repetition. */
export type Level = true | "detail";

interface Part {
  /** Before its phases' names: `train`, `apply`, `answer`, or the whole name of work outside the engine. */
  readonly name: string;
  /** From the start of the repetition. */
  readonly beginMs: number;
  readonly endMs: number;
}

/** A stretch of work outside the engine, or a call of it. */
export type RecordedPart = Part & { readonly measurement: Measurement | null };

/** One run of an operation from its first to its last moment. */
export interface Repetition {
  readonly wallMs: number;
  readonly parts: readonly RecordedPart[];
}

/** An operation runs its parts through this and thereby has them timed, one after the other. */
export interface PartTimer {
  /** What the options of the engine's calls must hold as `measure`. */
  readonly level: Level;
  host<T>(name: string, work: () => Promise<T> | T): Promise<T>;
  call<T extends Measured>(name: string, work: () => Promise<T>): Promise<T>;
  /** Runs when the repetition is over, in reverse order, also after a failure: no part of what is timed. */
  afterwards(work: () => Promise<void>): void;
}

export type Operation = (timer: PartTimer) => Promise<void>;

/** Runs an operation once. @throws what the operation throws; INTERNAL if a call came back without its measurement */
export async function recordOnce(
  operation: Operation,
  level: Level,
  now: () => number = () => performance.now(),
): Promise<Repetition> {
  const parts: RecordedPart[] = [];
  const cleanups: (() => Promise<void>)[] = [];
  const startedMs = now();
  const timed = async <T>(
    name: string,
    work: () => Promise<T> | T,
    measurementOf: (result: T) => Measurement | null,
  ): Promise<T> => {
    const beginMs = now() - startedMs;
    const result = await work();
    parts.push({ name, beginMs, endMs: now() - startedMs, measurement: measurementOf(result) });
    return result;
  };
  try {
    await operation({
      level,
      host: (name, work) => timed(name, work, () => null),
      call: (name, work) => timed(name, work, ({ measurement }) => demanded(measurement)),
      afterwards: (work) => cleanups.unshift(work),
    });
    return { wallMs: now() - startedMs, parts };
  } finally {
    for (const work of cleanups) await work();
  }
}

function demanded(measurement: Measurement | undefined): Measurement {
  if (measurement === undefined)
    throw new SeprogError("INTERNAL", "expected a measurement of a call that asked for one");
  return measurement;
}
