import type { Estimate } from "../../metrics/bootstrap.js";
import { inRounds, medianOverRounds, type Rounds } from "../../metrics/rounds.js";
import type { OperationSamples, ProfileRecord } from "../../profile/record.js";
import type { ColumnHead } from "../columns.js";
import type { ResultCell } from "../content.js";
import { interval } from "../number_format.js";
import { bytes, preciseDuration } from "../units.js";
import { type OperationName, operationOf } from "./operations.js";

/** A cost of a whole operation: what is sampled, and how it is written. */
export interface Cost extends ColumnHead {
  readonly operation: OperationName;
  readonly of: "time" | "memory" | "energy";
  readonly samples: (operation: OperationSamples) => readonly number[] | null;
  readonly format: (value: number) => string;
}

const joules = (value: number): string => `${value.toPrecision(3)} J`;

const TRAINING = "one optimiser step on K edits: edit, losses, backward, update";
const INFERENCE = "applying K edits and answering K in-scope inputs in one batch";

/** The four figures of the paper's Table 3. */
export const TABLE_3: readonly Cost[] = [
  {
    title: "training time",
    help: `Median wall time of ${TRAINING}`,
    operation: "trainStep",
    of: "time",
    samples: ({ wallMs }) => wallMs,
    format: preciseDuration,
  },
  {
    title: "training memory",
    help: `Median over repetitions of the highest bytes held by tensors during ${TRAINING}`,
    operation: "trainStep",
    of: "memory",
    samples: ({ peakBytes }) => peakBytes,
    format: bytes,
  },
  {
    title: "inference time",
    help: `Median wall time of ${INFERENCE}`,
    operation: "inScope",
    of: "time",
    samples: ({ wallMs }) => wallMs,
    format: preciseDuration,
  },
  {
    title: "inference memory",
    help: `Median over repetitions of the highest bytes held by tensors while ${INFERENCE}`,
    operation: "inScope",
    of: "memory",
    samples: ({ peakBytes }) => peakBytes,
    format: bytes,
  },
];

/** What stands beside them where the system tells. */
export const MORE_COSTS: readonly Cost[] = [
  {
    title: "training process peak",
    help: "Resident high-water mark of the process during the step, reset before it",
    operation: "trainStep",
    of: "memory",
    samples: ({ processPeakBytes }) => processPeakBytes,
    format: bytes,
  },
  {
    title: "inference process peak",
    help: "Resident high-water mark of the process during inference, reset before it",
    operation: "inScope",
    of: "memory",
    samples: ({ processPeakBytes }) => processPeakBytes,
    format: bytes,
  },
  {
    title: "training energy",
    help: "Median energy of the step by the machine's own meter",
    operation: "trainStep",
    of: "energy",
    samples: ({ energyJ }) => energyJ,
    format: joules,
  },
  {
    title: "inference energy",
    help: "Median energy of inference by the machine's own meter",
    operation: "inScope",
    of: "energy",
    samples: ({ energyJ }) => energyJ,
    format: joules,
  },
];

/** Samples of a cost, one a repetition, by round; null where there is no such operation, meter or sample. */
export function samplesOf(record: ProfileRecord, cost: Pick<Cost, "operation" | "samples">): Rounds | null {
  const operation = operationOf(record, cost.operation);
  const samples = operation && cost.samples(operation);
  return !operation || !samples || samples.length === 0 ? null : inRounds(samples, operation.rounds);
}

export function medianOf(record: ProfileRecord, cost: Pick<Cost, "operation" | "samples">): Estimate | null {
  const samples = samplesOf(record, cost);
  return samples && medianOverRounds(samples);
}

export const EMPTY: ResultCell = { value: "–", interval: null };

export const plain = (value: string): ResultCell => ({ value, interval: null });

export const ordered = (value: number, format: (value: number) => string): ResultCell => ({
  value: format(value),
  interval: null,
  order: value,
});

/** An estimate with its interval, where it has one that can be seen. */
export function estimateCell(estimate: Estimate | null, format: (value: number) => string): ResultCell {
  if (estimate === null) return EMPTY;
  const isExact = format(estimate.low) === format(estimate.high);
  return {
    value: format(estimate.value),
    interval: isExact ? null : interval(estimate, format),
    order: estimate.value,
  };
}
