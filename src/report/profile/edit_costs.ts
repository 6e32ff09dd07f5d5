import { median } from "../../metrics/median_ratio.js";
import type { OneOffCost, ProfileRecord } from "../../profile/record.js";
import type { ResultCell, ResultTable } from "../content.js";
import { share } from "../number_format.js";
import { bytes, preciseDuration } from "../units.js";
import { EMPTY, ordered, plain } from "./cost_columns.js";
import { recordsAt, type Setting } from "./settings.js";

/** Over so many edits what is paid once is spread. */
export const SPREADS = [1, 100, 10_000] as const;

/**
 * Edit success: of a bench run's edits where the profile was given one, else of the K inputs answered here; null where
 * the editor learned nothing.
 */
export const successOf = ({ quality, successes, K }: ProfileRecord): number | null =>
  quality?.ES.value ?? (successes === null ? null : successes / K);

export const oneOffMs = ({ oneOff }: ProfileRecord): number =>
  oneOff.reduce((total, { wallMs }) => total + wallMs, 0);

/** Applying an edit and answering a question about it, K at once, and its part of what is paid once for all edits. */
export function costPerEditMs(record: ProfileRecord, edits: number): number {
  return oneOffMs(record) / edits + median(record.inScope.wallMs) / record.K;
}

/** What is paid once however many edits follow, a row a method and cost. */
export function oneOffTable(setting: Setting, K: number): ResultTable | null {
  const records = recordsAt(setting, K).filter(({ oneOff }) => oneOff.length > 0);
  if (records.length === 0) return null;
  return {
    title: `Paid once, at K = ${K} · ${setting.title}`,
    corner: "method: cost",
    columns: [
      { title: "time", help: "Wall time of what is paid once" },
      { title: "peak", help: "Highest bytes held by tensors meanwhile" },
      {
        title: "how known",
        help: "Measured here, taken of the record of the editor's training, or the number of its steps × the median step measured here",
      },
    ],
    rows: records.flatMap((record) =>
      record.oneOff.map((cost) => ({
        label: `${record.method}: ${cost.name}`,
        cells: [
          ordered(cost.wallMs, preciseDuration),
          cost.peakBytes === null ? EMPTY : ordered(cost.peakBytes, bytes),
          plain(sourceOf(cost)),
        ],
        isMean: false,
      })),
    ),
  };
}

const sourceOf = ({ source, steps }: OneOffCost): string =>
  steps === undefined ? source : source.replace("steps", `${steps} steps`);

/** Cost of an edit, and of one that holds, with what is paid once spread over many. */
export function editCostTable(setting: Setting, K: number): ResultTable {
  const records = recordsAt(setting, K);
  const withSuccess = records.some((record) => successOf(record) !== null);
  const spreads = SPREADS.map((edits) => ({ edits, text: edits.toLocaleString("en") }));
  return {
    title: `Cost of an edit at K = ${K} · ${setting.title}`,
    corner: "method",
    columns: [
      { title: "paid once", help: "Wall time of loading, calibration, training and caches together" },
      ...spreads.map(({ edits, text }) => ({
        title: edits === 1 ? "per edit, of 1" : `per edit, of ${text}`,
        help: "Applying an edit and answering about it, with its part of what is paid once for so many",
      })),
      ...(withSuccess
        ? [
            {
              title: "ES",
              help: "Edit success: of a bench run's edits where there is one, else of the K inputs answered here",
            },
            ...spreads.map(({ edits, text }) => ({
              title: edits === 1 ? "per success, of 1" : `per success, of ${text}`,
              help: "Cost of an edit / ES: what an edit that holds costs",
            })),
          ]
        : []),
    ],
    rows: records.map((record) => {
      const success = successOf(record);
      const perEdit = SPREADS.map((edits) => costPerEditMs(record, edits));
      return {
        label: record.method,
        cells: [
          ordered(oneOffMs(record), preciseDuration),
          ...perEdit.map((ms) => ordered(ms, preciseDuration)),
          ...(withSuccess ? successCells(success, perEdit) : []),
        ],
        isMean: false,
      };
    }),
  };
}

function successCells(success: number | null, perEdit: readonly number[]): ResultCell[] {
  if (success === null) return [EMPTY, ...perEdit.map(() => EMPTY)];
  return [
    ordered(success, share),
    ...perEdit.map((ms) => (success === 0 ? plain("none holds") : ordered(ms / success, preciseDuration))),
  ];
}
