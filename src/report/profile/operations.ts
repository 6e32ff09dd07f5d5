import { type Estimate, quantile } from "../../metrics/bootstrap.js";
import { median } from "../../metrics/median_ratio.js";
import { inRounds, medianOverRounds } from "../../metrics/rounds.js";
import type { NotApplicable, OperationSamples, PhaseSamples, ProfileRecord } from "../../profile/record.js";

import { partOf } from "./parts.js";

type FlopCounts = NonNullable<OperationSamples["flops"]>;

/** The operations of a record, and what tables call them. */
export const OPERATIONS = {
  trainStep: "training step",
  inScope: "inference in scope",
  outScope: "inference out of scope",
} as const;
export type OperationName = keyof typeof OPERATIONS;
export const OPERATION_NAMES = Object.keys(OPERATIONS) as readonly OperationName[];

/** Null where the method has no such operation. */
export function operationOf(record: ProfileRecord, name: OperationName): OperationSamples | null {
  const operation: OperationSamples | NotApplicable = record[name];
  return "notApplicable" in operation ? null : operation;
}

/** A phase, or the whole, in numbers. */
export interface PhaseFigures {
  readonly name: string;
  readonly wallMs: Estimate | null;
  /** 95th percentile over repetitions. */
  readonly p95Ms: number;
  readonly deviceMs: Estimate | null;
  readonly baselineBytes: number | null;
  readonly peakBytes: number | null;
  readonly peakReservedBytes: number | null;
  readonly flops: FlopCounts | null;
  /** Of the whole's time; over all phases they add up to what the phases account for. */
  readonly share: number;
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

export const totalFlops = ({ forward, backward, secondOrder }: FlopCounts): number =>
  forward + backward + secondOrder;

/** Operations a second at the median time; null where they were not counted or no time passed. */
export function flopsPerSecond({ flops, wallMs, deviceMs }: PhaseFigures): number | null {
  const ms = (deviceMs ?? wallMs)?.value ?? 0;
  return flops === null || ms <= 0 ? null : (totalFlops(flops) / ms) * 1000;
}

/** A report says the same figures in several formats: their intervals are drawn once. */
const known = new WeakMap<OperationSamples, PhaseFigures[]>();

/** Phases in the order of the record. */
export function phaseFigures(operation: OperationSamples): PhaseFigures[] {
  const figures = known.get(operation) ?? newPhaseFigures(operation);
  known.set(operation, figures);
  return figures;
}

function newPhaseFigures(operation: OperationSamples): PhaseFigures[] {
  const whole = sum(operation.wallMs);
  return operation.phases.map((phase) => ({
    ...timesOf(phase, operation.rounds),
    name: phase.name,
    baselineBytes: phase.baselineBytes,
    peakBytes: phase.peakBytes,
    peakReservedBytes: phase.peakReservedBytes,
    flops: phase.flops,
    share: whole > 0 ? sum(phase.wallMs) / whole : 0,
  }));
}

export function wholeFigures(operation: OperationSamples): PhaseFigures {
  return {
    ...timesOf(operation, operation.rounds),
    name: "whole",
    baselineBytes: operation.baselineBytes,
    peakBytes: Math.max(...operation.peakBytes),
    peakReservedBytes:
      operation.peakReservedBytes.length > 0 ? Math.max(...operation.peakReservedBytes) : null,
    flops: operation.flops,
    share: 1,
  };
}

function timesOf({ wallMs, deviceMs }: Pick<PhaseSamples, "wallMs" | "deviceMs">, rounds: number) {
  return {
    wallMs: medianOverRounds(inRounds(wallMs, rounds)),
    p95Ms: wallMs.length === 0 ? 0 : quantile(Float64Array.from(wallMs).sort(), 0.95),
    deviceMs: deviceMs === null ? null : medianOverRounds(inRounds(deviceMs, rounds)),
  };
}

/**
 * What a stacked bar of the operation is made of, milliseconds by part: shares of the total time, scaled to the median of
 * the whole.
 */
export function partMs(operation: OperationSamples): Map<string, number> {
  const whole = sum(operation.wallMs);
  const middle = median(operation.wallMs);
  const parts = new Map<string, number>();
  for (const phase of operation.phases) {
    const share = whole > 0 ? sum(phase.wallMs) / whole : 0;
    const part = partOf(phase);
    parts.set(part, (parts.get(part) ?? 0) + share * middle);
  }
  return parts;
}
