import type { FlopCounts } from "../native/addon.js";
import type { PlanTarget } from "./devices.js";

/** What an operation would take. */
export interface PlannedCost {
  /** Held by tensors, the base model's weights among them. */
  readonly peakBytes: number;
  readonly memoryMap: Readonly<Record<string, number>> | null;
  readonly flops: FlopCounts | null;
}

export interface PlannedCosts {
  /** Null for methods without a training step. */
  readonly trainStep: PlannedCost | null;
  readonly inScope: PlannedCost;
  readonly outScope: PlannedCost;
}

/** Both of one operation on the device it was measured on. */
export interface Comparison {
  readonly operation: keyof PlannedCosts;
  readonly plannedBytes: number;
  readonly measuredBytes: number;
}

/** One method on one model at one K. */
export interface CellPlan {
  readonly method: string;
  readonly variant: string;
  readonly model: string;
  readonly K: number;
  readonly costs: PlannedCosts;
  /** Of the operation that needs most, with what the process takes beside. */
  readonly requiredBytes: number;
  readonly fits: boolean;
  readonly microBatch: {
    /** Null for methods that do not work in chunks. */
    readonly configured: number | null;
    /** The largest that fits, where the configured one does not; null where none does. */
    readonly fitting: number | null;
  };
  /** Empty without a profile of the same cell. */
  readonly comparisons: readonly Comparison[];
}

/** A cell that cannot be planned, and why. */
export interface PlanFailure {
  readonly method: string;
  readonly model: string;
  readonly K: number;
  readonly code: string;
  readonly message: string;
}

/** `plan.json`. */
export interface Plan {
  readonly schemaVersion: 1;
  readonly kind: "plan";
  readonly target: PlanTarget;
  readonly cells: readonly CellPlan[];
  readonly failures: readonly PlanFailure[];
}
