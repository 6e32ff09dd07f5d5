import { inRounds, ratioOverRounds } from "../../metrics/rounds.js";
import type { ProfileRecord } from "../../profile/record.js";
import type { ResultTable } from "../content.js";
import { times } from "../number_format.js";
import { bytes, flop, preciseDuration } from "../units.js";
import {
  type Cost,
  EMPTY,
  estimateCell,
  MORE_COSTS,
  medianOf,
  ordered,
  samplesOf,
  TABLE_3,
} from "./cost_columns.js";
import { operationOf, totalFlops } from "./operations.js";
import { recordsAt, referenceAt, type Setting } from "./settings.js";

/** What the paper calls the figures at this K; only for the data that it measured. */
function paperTable({ dataset }: Setting, K: number): string {
  if (dataset === null || !dataset.startsWith("zsre")) return "";
  return { 64: " (Table 3)", 128: " (Appendix C)" }[K] ?? "";
}

/** Rows of methods, training and inference side by side, in the shape of the paper's Table 3. */
export function costTable(setting: Setting, K: number): ResultTable {
  const records = recordsAt(setting, K);
  const columns = [...TABLE_3, ...MORE_COSTS.filter((cost) => records.some((one) => samplesOf(one, cost)))];
  return {
    title: `Costs at K = ${K}${paperTable(setting, K)} · ${setting.title}`,
    corner: "method",
    columns,
    rows: records.map((record) => ({
      label: record.method,
      cells: columns.map((cost) => estimateCell(medianOf(record, cost), cost.format)),
      isMean: false,
    })),
  };
}

/** Method / SEPROG in each figure of Table 3; null without SEPROG or others. */
export function ratioTable(setting: Setting, K: number): ResultTable | null {
  const reference = referenceAt(setting, K);
  const others = recordsAt(setting, K).filter((record) => record !== reference);
  if (reference === undefined || others.length === 0) return null;
  return {
    title: `Costs at K = ${K} as multiples of ${reference.method}'s · ${setting.title}`,
    corner: "method",
    columns: TABLE_3.map(({ title }) => ({
      title: `${title}, ratio`,
      help: `Median of the method / median of ${reference.method}; above 1× the method costs more`,
    })),
    rows: others.map((record) => ({
      label: record.method,
      cells: TABLE_3.map((cost) => estimateCell(ratio(record, reference, cost), times)),
      isMean: false,
    })),
  };
}

function ratio(record: ProfileRecord, reference: ProfileRecord, cost: Cost) {
  const [ours, theirs] = [samplesOf(record, cost), samplesOf(reference, cost)];
  return ours && theirs && ratioOverRounds(ours, theirs);
}

/** Inputs about an edit against inputs about none: a gate may save what the first need. */
export function scopeTable(setting: Setting, K: number): ResultTable {
  const records = recordsAt(setting, K);
  return {
    title: `Inference in scope and out of scope at K = ${K} · ${setting.title}`,
    corner: "method",
    columns: [
      { title: "in scope", help: "Median wall time of applying K edits and answering K inputs about them" },
      {
        title: "out of scope",
        help: "Median wall time of applying K edits and answering K inputs about none of them",
      },
      {
        title: "out / in",
        help: "Out of scope / in scope; below 1× what is not about an edit is answered faster",
      },
      { title: "in peak", help: "Highest bytes held by tensors with inputs in scope" },
      { title: "out peak", help: "Highest bytes held by tensors with inputs out of scope" },
      {
        title: "in, by edits",
        help: "How many of the K inputs in scope were answered through the edits; compare times of those alone that did the same",
      },
      { title: "out, by edits", help: "How many of the inputs out of scope were answered through the edits" },
      { title: "in FLOPs", help: "Multiply-adds × 2 of matrix products with inputs in scope" },
      { title: "out FLOPs", help: "Multiply-adds × 2 of matrix products with inputs out of scope" },
    ],
    rows: records.map((record) => {
      const sides = [operationOf(record, "inScope"), operationOf(record, "outScope")] as const;
      const [inMs = [], outMs = []] = sides.map((side) => inRounds(side?.wallMs ?? [], side?.rounds ?? 1));
      return {
        label: record.method,
        cells: [
          ...(["inScope", "outScope"] as const).map((operation) =>
            estimateCell(medianOf(record, { operation, samples: ({ wallMs }) => wallMs }), preciseDuration),
          ),
          estimateCell(ratioOverRounds(outMs, inMs), times),
          ...(["inScope", "outScope"] as const).map((operation) =>
            estimateCell(medianOf(record, { operation, samples: ({ peakBytes }) => peakBytes }), bytes),
          ),
          ...([record.takenInScope.inScope, record.takenInScope.outScope] as const).map((taken) =>
            ordered(taken ?? record.K, (count) => `${count} of ${record.K}`),
          ),
          ...sides.map((side) => (side?.flops ? ordered(totalFlops(side.flops), flop) : EMPTY)),
        ],
        isMean: false,
      };
    }),
  };
}
