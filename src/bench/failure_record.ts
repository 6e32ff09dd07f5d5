import type { ErrorCode, SeprogError } from "../errors.js";
import type { LoopEvent, ProgressEvent } from "../training/events.js";
import { ProcessEnd } from "./process_death.js";

/** One process that was given a piece of work and did not finish it. */
export interface Attempt {
  readonly startedAt: string;
  readonly wallMs: number;
  readonly device: string;
  readonly code: ErrorCode;
  readonly message: string;
  /** "signal SIGKILL", "exit status 1"; null where the process said what was wrong. */
  readonly death: string | null;
  /** How far it was; null before its first progress. */
  readonly progress: Pick<ProgressEvent, "phase" | "step" | "total"> | null;
}

/** `failure.json`, in place of a result: what is known of why there is none. */
export interface FailureRecord {
  readonly schemaVersion: 1;
  /** Of a cell its name, of a training its label. */
  readonly work: string;
  readonly code: ErrorCode;
  readonly message: string;
  /** Oldest first. */
  readonly attempts: readonly Attempt[];
}

/** Watches one attempt. */
export class AttemptWatch {
  readonly #device: string;
  readonly #startedAt = new Date();
  #progress: Attempt["progress"] = null;

  constructor(device: string) {
    this.#device = device;
  }

  see(event: LoopEvent): void {
    if (event.type !== "progress") return;
    const { phase, step, total } = event;
    this.#progress = { phase, step, total };
  }

  failed({ code, message, cause }: SeprogError): Attempt {
    return {
      startedAt: this.#startedAt.toISOString(),
      wallMs: Date.now() - this.#startedAt.getTime(),
      device: this.#device,
      code,
      message,
      death: cause instanceof ProcessEnd ? cause.how : null,
      progress: this.#progress,
    };
  }
}

export function failureRecord(
  work: string,
  { code, message }: SeprogError,
  attempts: readonly Attempt[],
): FailureRecord {
  return { schemaVersion: 1, work, code, message, attempts };
}
