import { median } from "../../metrics/median_ratio.js";
import type { ProfileRecord } from "../../profile/record.js";
import { groupBy } from "../group_by.js";
import { OPERATION_NAMES, OPERATIONS, operationOf, partMs } from "./operations.js";
import type { ProfileRun } from "./profile_run.js";

/** What a reader should know beside the figures: what is missing and why, and whether the phases make up the whole. */
export function profileNotes({ records, failures }: Pick<ProfileRun, "records" | "failures">): string[] {
  const operations = records.flatMap((record) =>
    OPERATION_NAMES.flatMap((name) => operationOf(record, name) ?? []),
  );
  const none = (has: (operation: (typeof operations)[number]) => unknown): boolean =>
    operations.length > 0 && operations.every((operation) => has(operation) === null);
  return [
    ...failures.map(
      ({ method, model, dataset, K, code, message }) =>
        `${method}, K = ${K}, ${dataset ?? "random ids"} · ${model}: not profiled (${code}: ${message}).`,
    ),
    ...missingOperations(records),
    ...phaseSums(records),
    ...(none(({ flops }) => flops) ? ["FLOPs: not counted in this run."] : []),
    ...(none(({ memoryMap }) => memoryMap) ? ["Memory by role: not told by this device's allocator."] : []),
    ...energyNotes(records),
    ...(none(({ processPeakBytes }) => processPeakBytes)
      ? ["Process peaks: this system does not let a program reset its high-water mark."]
      : []),
    ...freshEditors(records),
  ];
}

function freshEditors(records: readonly ProfileRecord[]): string[] {
  const methods = records.flatMap(({ editor, method }) => (editor === "fresh" ? method : []));
  return methods.length === 0
    ? []
    : [
        `${[...new Set(methods)].join(", ")}: editors that were not trained; their costs are real, their answers are not.`,
      ];
}

function energyNotes(records: readonly ProfileRecord[]): string[] {
  const notes = records.map(({ energy }) =>
    "notAvailable" in energy
      ? `Energy: not available (${energy.notAvailable}).`
      : `Energy: ${energy.source}; of all that ran on it, this or other.`,
  );
  return [...new Set(notes)];
}

function missingOperations(records: readonly ProfileRecord[]): string[] {
  const missing = records.flatMap(({ method, trainStep }) =>
    "notApplicable" in trainStep ? [{ method, why: trainStep.notApplicable }] : [],
  );
  const byReason = groupBy(missing, ({ why }) => why);
  return [...byReason].map(
    ([why, own]) => `${[...new Set(own.map(({ method }) => method))].join(", ")}: no training step (${why}).`,
  );
}

/** A phase may be missed, but not without a word. */
const MOST_MISSED = 0.02;

function phaseSums(records: readonly ProfileRecord[]): string[] {
  return records.flatMap((record) =>
    OPERATION_NAMES.flatMap((name) => {
      const operation = operationOf(record, name);
      if (operation === null) return [];
      const named =
        [...partMs(operation).values()].reduce((total, ms) => total + ms, 0) / median(operation.wallMs);
      return Math.abs(1 - named) <= MOST_MISSED
        ? []
        : [
            `${record.method}, K = ${record.K}, ${OPERATIONS[name]}: the phases make up ${(100 * named).toFixed(1)} % of the whole.`,
          ];
    }),
  );
}
