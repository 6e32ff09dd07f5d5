import type { CellResult, Figure } from "../evaluation/records.js";
import { type Chart, colorOf, frame } from "./charts.js";

interface Point {
  readonly method: string;
  readonly age: string;
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** How edits made one after the other hold, a plot a data set: of each method at its largest K, first seed. */
export function retentionCharts(results: readonly CellResult[]): Chart[] {
  const followed = results.filter(({ retention }) => retention.length > 1);
  return [...new Set(followed.map(({ cell }) => cell.dataset))].map((dataset) => {
    const own = followed.filter(({ cell }) => cell.dataset === dataset);
    const largest = new Map<string, CellResult>();
    for (const result of own) {
      const known = largest.get(result.cell.method);
      if (known === undefined || result.cell.K > known.cell.K) largest.set(result.cell.method, result);
    }
    return retentionChart(dataset, [...largest.values()]);
  });
}

function retentionChart(dataset: string, results: readonly CellResult[]): Chart {
  const methods = results.map(({ cell }) => cell.method);
  const points = results.flatMap(({ cell, retention }) =>
    retention.map(({ age, ES }): Point => ({ method: cell.method, age: String(age), ...bounds(ES) })),
  );
  const ages = [...new Set(points.map(({ age }) => age))].toSorted((a, b) => Number(a) - Number(b));
  const x = {
    field: "age",
    type: "ordinal" as const,
    sort: ages,
    axis: { title: "edits made after it", labelAngle: 0 },
  };
  const y = (field: string) => ({
    field,
    type: "quantitative" as const,
    title: "ES",
    scale: { domain: [0, 1] },
    axis: { tickCount: 5 },
  });
  const color = {
    field: "method",
    type: "nominal" as const,
    scale: { domain: methods, range: methods.map((_, index) => colorOf(index)) },
    legend: null,
  };
  const Ks = [...new Set(results.map(({ cell }) => cell.K))].join(", ");
  return {
    title: `How an edit holds · ${dataset}`,
    note: `Edits made one after the other, K = ${Ks}: edit success against the number of edits made after it.`,
    legend: methods.length > 1 ? methods.map((label, index) => ({ label, color: colorOf(index) })) : [],
    spec: {
      ...frame(),
      width: 330,
      height: 220,
      data: { values: points },
      layer: [
        {
          mark: { type: "area" as const, opacity: 0.15 },
          encoding: { x, y: y("low"), y2: { field: "high" }, color },
        },
        { mark: { type: "line" as const, strokeWidth: 2 }, encoding: { x, y: y("value"), color } },
        {
          mark: { type: "point" as const, filled: true, size: 40, opacity: 1 },
          encoding: { x, y: y("value"), color },
        },
      ],
    },
  };
}

const bounds = ({ value, low, high }: Figure) => ({ value, low: Math.max(0, low), high: Math.min(1, high) });
