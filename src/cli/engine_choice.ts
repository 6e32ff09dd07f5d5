import os from "node:os";
import type { EngineChoice } from "../bench/job.js";
import { nameList, UsageError } from "./usage_error.js";

export interface EngineArgs {
  readonly device: string;
  readonly threads?: number | undefined;
  readonly jobs?: number | undefined;
  readonly deterministic?: boolean;
}

/** The engine that flags ask for; processes at once share the cores unless threads are given. */
export function engineChoice({ device, threads, jobs = 1, deterministic = false }: EngineArgs): EngineChoice {
  const shared = jobs > 1 ? Math.max(1, Math.floor(os.availableParallelism() / jobs)) : undefined;
  const count = threads ?? shared;
  return { device, ...(count !== undefined && { threads: count }), ...(deterministic && { deterministic }) };
}

/** Processes at once and the devices they take in turn: as many as devices, unless `--jobs` says otherwise. */
export function engineChoices(args: EngineArgs): {
  readonly engine: EngineChoice;
  readonly devices: readonly string[];
  readonly jobs: number;
} {
  const [device, ...more] = nameList(args.device);
  if (device === undefined) throw new UsageError("expected a device for `--device`: cpu, cuda:0, …");
  const devices = [device, ...more];
  const jobs = args.jobs ?? devices.length;
  return { engine: engineChoice({ ...args, device, jobs }), devices, jobs };
}
