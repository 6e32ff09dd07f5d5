import { ratioOverRounds } from "../../metrics/rounds.js";
import { type Chart, colorOf, frame, INK } from "../charts.js";
import { samplesOf, TABLE_3 } from "./cost_columns.js";
import { recordsAt, referenceAt, type Setting } from "./settings.js";

/** What each method costs as a multiple of SEPROG, the four figures of Table 3; null without SEPROG or others. */
export function ratioChart(setting: Setting, K: number): Chart | null {
  const reference = referenceAt(setting, K);
  const others = recordsAt(setting, K).filter((record) => record !== reference);
  if (reference === undefined || others.length === 0) return null;
  const values = others.flatMap((record) =>
    TABLE_3.flatMap((cost) => {
      const [ours, theirs] = [samplesOf(record, cost), samplesOf(reference, cost)];
      const ratio = ours && theirs && ratioOverRounds(ours, theirs);
      if (ratio === null || ratio.low <= 0) return [];
      const { value, low, high } = ratio;
      return [{ method: record.method, cost: cost.title, value, low, high }];
    }),
  );
  const costs = TABLE_3.map(({ title }) => title).filter((title) =>
    values.some(({ cost }) => cost === title),
  );
  const methods = others.map(({ method }) => method);
  const domain = [
    Math.min(0.9, ...values.map(({ low }) => low)) / 1.15,
    Math.max(1.1, ...values.map(({ high }) => high)) * 1.15,
  ];
  const x = (field: string) => ({
    field,
    type: "quantitative" as const,
    title: `multiple of ${reference.method}'s`,
    scale: { type: "log" as const, domain, nice: false },
    axis: { tickCount: 5, format: "~g", labelOverlap: true },
  });
  const y = {
    field: "method",
    type: "nominal" as const,
    sort: methods,
    axis: { title: null, ticks: false, domain: false, labelLimit: 240 },
  };
  const yOffset = { field: "cost", type: "nominal" as const, sort: costs };
  const color = {
    field: "cost",
    type: "nominal" as const,
    scale: { domain: costs, range: costs.map((_, index) => colorOf(index)) },
    legend: null,
  };
  return {
    title: `Costs as multiples of ${reference.method}'s, K = ${K}`,
    note: `${setting.title}. Left of the line the method costs less; bars are 95 % intervals.`,
    legend: costs.map((label, index) => ({ label, color: colorOf(index) })),
    spec: {
      ...frame(),
      width: 330,
      height: Math.max(80, 34 * methods.length),
      layer: [
        {
          data: { values: [{ one: 1 }] },
          mark: { type: "rule" as const, color: INK, strokeDash: [4, 3], opacity: 0.7 },
          encoding: { x: { ...x("one") } },
        },
        {
          data: { values },
          mark: { type: "rule" as const, strokeWidth: 1.5 },
          encoding: { x: x("low"), x2: { field: "high" }, y, yOffset, color },
        },
        {
          data: { values },
          mark: { type: "point" as const, filled: true, size: 40, opacity: 1 },
          encoding: { x: x("value"), y, yOffset, color },
        },
      ],
    },
  };
}
