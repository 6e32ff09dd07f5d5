import type { ProfileRecord } from "../../profile/record.js";
import type { ColumnHead } from "../columns.js";
import type { ResultCell, ResultTable } from "../content.js";
import { bytes, flop, preciseDuration } from "../units.js";
import { EMPTY, estimateCell, ordered } from "./cost_columns.js";
import {
  flopsPerSecond,
  OPERATION_NAMES,
  OPERATIONS,
  operationOf,
  type PhaseFigures,
  phaseFigures,
  wholeFigures,
} from "./operations.js";

interface PhaseColumn extends ColumnHead {
  /** Null where the phase has no such figure; a column without any figure is left out. */
  readonly cell: (phase: PhaseFigures) => ResultCell | null;
}

const orderedOrNull = (value: number | null, format: (value: number) => string): ResultCell | null =>
  value === null ? null : ordered(value, format);

const COLUMNS: readonly PhaseColumn[] = [
  {
    title: "time",
    help: "Median wall time of the phase over repetitions, without the phases inside it",
    cell: ({ wallMs }) => estimateCell(wallMs, preciseDuration),
  },
  {
    title: "p95",
    help: "95th percentile of the wall time over repetitions",
    cell: ({ p95Ms }) => ordered(p95Ms, preciseDuration),
  },
  {
    title: "share",
    help: "Of the time of the whole, over all repetitions",
    cell: ({ share }) => ordered(share, (value) => `${(100 * value).toFixed(1)} %`),
  },
  {
    title: "device time",
    help: "Median by the device's own clock",
    cell: ({ deviceMs }) => deviceMs && estimateCell(deviceMs, preciseDuration),
  },
  {
    title: "at start",
    help: "Bytes held by tensors when the phase began",
    cell: ({ baselineBytes }) => orderedOrNull(baselineBytes, bytes),
  },
  {
    title: "peak",
    help: "Highest bytes held by tensors during the phase, over all repetitions",
    cell: ({ peakBytes }) => orderedOrNull(peakBytes, bytes),
  },
  {
    title: "reserved",
    help: "Highest bytes that the allocator held of the system, caches with them",
    cell: ({ peakReservedBytes }) => orderedOrNull(peakReservedBytes, bytes),
  },
  {
    title: "FLOPs forward",
    help: "Multiply-adds × 2 of matrix products, forward",
    cell: ({ flops }) => orderedOrNull(flops?.forward ?? null, flop),
  },
  {
    title: "backward",
    help: "FLOPs of backward passes",
    cell: ({ flops }) => orderedOrNull(flops?.backward || null, flop),
  },
  {
    title: "second order",
    help: "FLOPs of backward passes through a recorded backward pass",
    cell: ({ flops }) => orderedOrNull(flops?.secondOrder || null, flop),
  },
  {
    title: "achieved",
    help: "FLOPs of all kinds over the median time",
    cell: (phase) => orderedOrNull(flopsPerSecond(phase), (value) => `${flop(value)}/s`),
  },
];

/** Where time, memory and operations of one cell go: a table an operation that the method has. */
export function phaseTables(record: ProfileRecord): ResultTable[] {
  return OPERATION_NAMES.flatMap((name) => {
    const operation = operationOf(record, name);
    if (operation === null) return [];
    const phases = phaseFigures(operation);
    const whole = wholeFigures(operation);
    const columns = COLUMNS.filter(({ cell }) => [...phases, whole].some((phase) => cell(phase) !== null));
    const row = (phase: PhaseFigures, isMean: boolean) => ({
      label: phase.name,
      cells: columns.map(({ cell }) => cell(phase) ?? EMPTY),
      isMean,
    });
    return {
      title: `${record.method}, K = ${record.K}: ${OPERATIONS[name]}`,
      corner: "phase",
      columns,
      rows: [...phases.map((phase) => row(phase, false)), row(whole, true)],
    };
  });
}
