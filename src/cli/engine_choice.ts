import os from "node:os";
import type { EngineChoice } from "../bench/job.js";

export interface EngineArgs {
  readonly device: string;
  readonly threads?: number | undefined;
  readonly jobs?: number;
}

/** The engine that flags ask for; processes at once share the cores unless threads are given. */
export function engineChoice({ device, threads, jobs = 1 }: EngineArgs): EngineChoice {
  if (threads !== undefined) return { device, threads };
  return jobs > 1
    ? { device, threads: Math.max(1, Math.floor(os.availableParallelism() / jobs)) }
    : { device };
}
