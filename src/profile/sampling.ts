import { readFile, writeFile } from "node:fs/promises";
import { type RepeatOptions, repeat } from "../evaluation/repeat.js";
import { assemble, type SampledRepetition } from "./assemble.js";
import type { EnergyMeter, NoEnergyMeter } from "./energy.js";
import type { OperationSamples } from "./record.js";
import { type Operation, recordOnce } from "./recorder.js";

export interface SamplingOptions extends RepeatOptions {
  /** Whether one more repetition, of which no time is kept, counts FLOPs and follows memory. */
  readonly detail: boolean;
  /** Read around every repetition. */
  readonly energy: EnergyMeter | NoEnergyMeter;
  readonly signal?: AbortSignal;
}

/**
 * Repeats an operation: warm-ups, repetitions with clocks, and where asked for one in detail at last.
 * @throws what the operation throws; the signal's reason when aborted
 */
export async function sampleOperation(
  operation: Operation,
  { signal, energy, detail, ...options }: SamplingOptions,
): Promise<OperationSamples> {
  const samples = await repeat(options, async (): Promise<SampledRepetition> => {
    signal?.throwIfAborted();
    const isReset = await resetProcessPeak();
    const spentJ = "notAvailable" in energy ? async () => null : await energy.start();
    const repetition = await recordOnce(operation, true);
    const energyJ = await spentJ();
    return { ...repetition, processPeakBytes: isReset ? await readProcessPeak() : null, energyJ };
  });
  signal?.throwIfAborted();
  return assemble(samples, detail ? await recordOnce(operation, "detail") : null);
}

/** Sets the process's resident high-water mark back to what it holds now; false where the system refuses. */
async function resetProcessPeak(): Promise<boolean> {
  return writeFile("/proc/self/clear_refs", "5").then(
    () => true,
    () => false,
  );
}

/** VmHWM in bytes; null where the system does not tell. */
async function readProcessPeak(): Promise<number | null> {
  const status = await readFile("/proc/self/status", "utf8").catch(() => "");
  const kib = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
  return kib === undefined ? null : Number(kib) * 1024;
}
