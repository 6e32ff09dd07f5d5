import os from "node:os";
import type { EngineChoice } from "../bench/job.js";

export interface EngineArgs {
  readonly device: string;
  readonly threads?: number | undefined;
  readonly jobs?: number;
  readonly deterministic?: boolean;
}

/** The engine that flags ask for; processes at once share the cores unless threads are given. */
export function engineChoice({ device, threads, jobs = 1, deterministic = false }: EngineArgs): EngineChoice {
  const shared = jobs > 1 ? Math.max(1, Math.floor(os.availableParallelism() / jobs)) : undefined;
  const count = threads ?? shared;
  return { device, ...(count !== undefined && { threads: count }), ...(deterministic && { deterministic }) };
}
