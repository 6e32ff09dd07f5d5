import { median } from "../../metrics/median_ratio.js";
import type { OperationSamples, PhaseSamples, ProfileRecord } from "../../profile/record.js";
import { type CsvValue, csv } from "../csv.js";
import {
  flopsPerSecond,
  OPERATION_NAMES,
  type OperationName,
  operationOf,
  type PhaseFigures,
  phaseFigures,
  wholeFigures,
} from "./operations.js";
import type { ProfileRun } from "./profile_run.js";

/** Units are in the names; the row `whole` of an operation comes behind its phases. */
const HEADER = [
  "method",
  "variant",
  "dataset",
  "model",
  "K",
  "seed",
  "device",
  "dtype",
  "threads",
  "editor",
  "operation",
  "phase",
  "group",
  "repetitions",
  "wall_ms_median",
  "wall_ms_low",
  "wall_ms_high",
  "wall_ms_p95",
  "device_ms_median",
  "share",
  "baseline_bytes",
  "peak_bytes",
  "peak_reserved_bytes",
  "process_peak_bytes",
  "flops_forward",
  "flops_backward",
  "flops_second_order",
  "flops_per_second",
  "energy_j_median",
] as const;

/** One row a phase, operation and cell. */
export function profileCsv({ records }: Pick<ProfileRun, "records">): string {
  return csv(
    HEADER,
    records.flatMap((record) => OPERATION_NAMES.flatMap((name) => operationRows(record, name))),
  );
}

function operationRows(record: ProfileRecord, name: OperationName): CsvValue[][] {
  const operation = operationOf(record, name);
  if (operation === null) return [];
  const cell = [
    record.method,
    record.variant,
    record.dataset,
    record.model,
    record.K,
    record.seed,
    record.device,
    record.dtype,
    record.threads,
    record.editor,
    name,
  ];
  const phases = phaseFigures(operation).map((figures, i) => [
    ...cell,
    ...figureFields(figures, operation.phases[i] ?? null, null),
  ]);
  return [...phases, [...cell, ...figureFields(wholeFigures(operation), null, operation)]];
}

function figureFields(
  figures: PhaseFigures,
  phase: PhaseSamples | null,
  whole: OperationSamples | null,
): CsvValue[] {
  const { wallMs, flops } = figures;
  return [
    figures.name,
    phase?.group ?? null,
    wallMs?.n ?? 0,
    wallMs?.value ?? null,
    wallMs?.low ?? null,
    wallMs?.high ?? null,
    figures.p95Ms,
    figures.deviceMs?.value ?? null,
    figures.share,
    figures.baselineBytes,
    figures.peakBytes,
    figures.peakReservedBytes,
    highest(whole?.processPeakBytes),
    flops?.forward ?? null,
    flops?.backward ?? null,
    flops?.secondOrder ?? null,
    flopsPerSecond(figures),
    whole?.energyJ ? median(whole.energyJ) : null,
  ];
}

const highest = (values: readonly number[] | null | undefined): number | null =>
  values && values.length > 0 ? Math.max(...values) : null;
