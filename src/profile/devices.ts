import { didYouMean } from "../config/suggest.js";
import { SeprogError } from "../errors.js";

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

/** A device that is planned for. */
export interface PlanTarget {
  readonly name: string;
  /** Which engine plans it. */
  readonly engine: "plan:cuda" | "plan:cpu";
  /** What the device offers in all. */
  readonly memoryBytes: number;
  /** What a process takes of it beside tensors. */
  readonly overheadBytes: number;
}

/**
 * What a process takes of a graphics card before the first tensor: context, code of the kernels it has used, cuBLAS. With
 * PyTorch between 300 and 720 MiB are seen, by card and version; this is on the safe side.
 */
const CUDA_OVERHEAD_BYTES = 768 * MIB;
/** Node and libtorch with their libraries, resident. */
const CPU_OVERHEAD_BYTES = 320 * MIB;

/** GiB that the driver offers of a card (PyTorch's out-of-memory messages name them): less than the card is sold with. */
const CARDS: Readonly<Record<string, number>> = {
  "a100-40gb": 39.39,
  "a100-80gb": 79.15,
  "h100-80gb": 79.1,
  rtx3090: 23.68,
  rtx4090: 23.64,
  t4: 14.56,
  "v100-16gb": 15.77,
  "v100-32gb": 31.74,
};

export const planTargetNames: readonly string[] = [...Object.keys(CARDS), "cpu:<GiB>gb"];

/** @throws SeprogError CONFIG_INVALID for an unknown device */
export function planTarget(name: string): PlanTarget {
  const onCard = CARDS[name];
  if (onCard !== undefined)
    return {
      name,
      engine: "plan:cuda",
      memoryBytes: Math.round(onCard * GIB),
      overheadBytes: CUDA_OVERHEAD_BYTES,
    };
  const onCpu = /^cpu:(\d+(?:\.\d+)?)gb$/.exec(name)?.[1];
  if (onCpu !== undefined)
    return {
      name,
      engine: "plan:cpu",
      memoryBytes: Math.round(Number(onCpu) * GIB),
      overheadBytes: CPU_OVERHEAD_BYTES,
    };
  throw new SeprogError(
    "CONFIG_INVALID",
    `expected one of ${planTargetNames.join(", ")} for \`--device\` with \`--plan\` but received "${name}"${didYouMean(name, Object.keys(CARDS))}`,
  );
}

/** What tensors may take. */
export const tensorBudget = ({ memoryBytes, overheadBytes }: PlanTarget): number =>
  memoryBytes - overheadBytes;
