import type { OperationSamples } from "../../profile/record.js";
import type { Chart } from "../charts.js";
import { OPERATIONS, type OperationName, operationOf, partMs } from "./operations.js";
import { MEMORY_PARTS, PHASE_PARTS } from "./parts.js";
import { recordsAt, type Setting } from "./settings.js";
import { type Bar, stackedBars } from "./stacked_bars.js";

const SHOWN: readonly OperationName[] = ["trainStep", "inScope"];

/** Where the time of training and of inference goes: bars of methods in milliseconds, and as shares of each. */
export function timeBars(setting: Setting, K: number): Chart[] {
  return SHOWN.flatMap((name) => {
    const bars = barsOf(setting, K, name, partMs);
    const title = `Time, ${OPERATIONS[name]}, K = ${K}`;
    const shared = { parts: PHASE_PARTS, note: `${setting.title}. Median, split by what the phases do.` };
    return [
      stackedBars(bars, { ...shared, title, xTitle: "milliseconds" }) ?? [],
      stackedBars(bars, {
        ...shared,
        title: `${title}, shares`,
        xTitle: "share of the whole",
        asShares: true,
      }) ?? [],
    ].flat();
  });
}

/** What held the memory when it was fullest. */
export function memoryBars(setting: Setting, K: number): Chart[] {
  return SHOWN.flatMap(
    (name) =>
      stackedBars(
        barsOf(setting, K, name, ({ memoryMap }) => memoryMap && new Map(Object.entries(memoryMap))),
        {
          title: `Memory at the peak, ${OPERATIONS[name]}, K = ${K}`,
          note: `${setting.title}. Bytes held by tensors, by what they are for.`,
          xTitle: "MiB",
          parts: MEMORY_PARTS,
          scale: 1 / 2 ** 20,
        },
      ) ?? [],
  );
}

function barsOf(
  setting: Setting,
  K: number,
  name: OperationName,
  partsOf: (operation: OperationSamples) => ReadonlyMap<string, number> | null,
): Bar[] {
  return recordsAt(setting, K).flatMap((record) => {
    const operation = operationOf(record, name);
    const parts = operation && partsOf(operation);
    return parts === null ? [] : [{ label: record.method, parts }];
  });
}
