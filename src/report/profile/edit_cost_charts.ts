import { type Chart, colorOf, frame } from "../charts.js";
import { costPerEditMs } from "./edit_costs.js";
import { recordsAt, type Setting } from "./settings.js";

/** 1, 2 and 5 times the powers of ten up to 10,000. */
const EDITS = [0, 1, 2, 3].flatMap((power) => [1, 2, 5].map((digit) => digit * 10 ** power)).concat(10_000);

/** How what is paid once wears off: cost of an edit against the number of edits that share it. */
export function editCostChart(setting: Setting, K: number): Chart | null {
  const records = recordsAt(setting, K).filter((record) => costPerEditMs(record, 10_000) > 0);
  if (records.length === 0) return null;
  const values = records.flatMap((record) =>
    EDITS.map((edits) => ({ method: record.method, edits, seconds: costPerEditMs(record, edits) / 1000 })),
  );
  const names = setting.methods;
  return {
    title: `Cost of an edit against the number of edits, K = ${K}`,
    note: `${setting.title}. What is paid once is shared by all edits.`,
    legend: names.map((label, index) => ({ label, color: colorOf(index) })),
    spec: {
      ...frame(),
      width: 330,
      height: 220,
      data: { values },
      mark: { type: "line" as const, strokeWidth: 2 },
      encoding: {
        x: {
          field: "edits",
          type: "quantitative" as const,
          title: "edits",
          scale: { type: "log" as const, domain: [1, 10_000], nice: false },
          axis: { values: [1, 10, 100, 1000, 10_000], format: ",d" },
        },
        y: {
          field: "seconds",
          type: "quantitative" as const,
          title: "seconds per edit",
          scale: { type: "log" as const },
          axis: { tickCount: 5, format: "~g" },
        },
        color: {
          field: "method",
          type: "nominal" as const,
          scale: { domain: [...names], range: names.map((_, index) => colorOf(index)) },
          legend: null,
        },
      },
    },
  };
}
