import type { MemoryShares } from "../evaluation/batch_budget.js";
import type { Engine } from "../native/engine.js";
import { loadAddon } from "../native/load.js";

/** The part of what is free that a call may take: the rest is for what others ask for meanwhile. */
const SHARE = 0.5;
/** In place of what happens to be free, where the same bits are asked for again: they rest on how rows are put together. */
const DETERMINISTIC_BYTES = 2 ** 30;

/** The part of a budget in which encoder outputs are kept between calls, and the most of them. */
const ENCODING_SHARE = 0.25;
const MOST_ENCODING_BYTES = 2 ** 29;

export interface MemoryBudgetOptions {
  /** As asked for. */
  readonly bytes?: number | undefined;
  /** That share the machine. */
  readonly processes?: number | undefined;
}

/** What of the budget calls may take, and what may be kept between them. */
export async function memoryShares(
  engine: Pick<Engine, "device" | "deterministic" | "memoryStats">,
  { bytes, processes = 1 }: MemoryBudgetOptions = {},
): Promise<Record<keyof MemoryShares, number>> {
  // What is kept decides last bits, too.
  if (engine.deterministic) return { bytes: bytes ?? DETERMINISTIC_BYTES, encodingBytes: 0 };
  const budget = bytes ?? Math.floor((SHARE * (await freeBytes(engine))) / processes);
  const encodingBytes = Math.min(MOST_ENCODING_BYTES, Math.floor(ENCODING_SHARE * budget));
  return { bytes: budget - encodingBytes, encodingBytes };
}

/** Memory of a device that this process has not reserved; of the machine, what may be used without swapping. */
async function freeBytes(engine: Pick<Engine, "device" | "memoryStats">): Promise<number> {
  const { device } = engine;
  const gpu =
    device === "cpu"
      ? undefined
      : loadAddon()
          .listDevices()
          .find(({ name }) => name === device);
  if (gpu === undefined) return process.availableMemory();
  return Math.max(0, gpu.totalBytes - (await engine.memoryStats()).reservedBytes);
}
