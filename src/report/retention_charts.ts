import type { CellResult, Figure } from "../evaluation/records.js";
import { bandChart } from "./band_chart.js";
import type { Chart } from "./charts.js";

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
  const points = results.flatMap(({ cell, retention }) =>
    retention.map(({ age, ES }) => ({ series: cell.method, at: String(age), ...bounds(ES) })),
  );
  const ages = [...new Set(points.map(({ at }) => at))].toSorted((a, b) => Number(a) - Number(b));
  const Ks = [...new Set(results.map(({ cell }) => cell.K))].join(", ");
  return bandChart({
    title: `How an edit holds · ${dataset}`,
    note: `Edits made one after the other, K = ${Ks}: edit success against the number of edits made after it.`,
    points,
    series: { title: "method", names: results.map(({ cell }) => cell.method) },
    x: { title: "edits made after it", places: ages },
    y: { title: "ES", highest: 1 },
  });
}

const bounds = ({ value, low, high }: Figure) => ({ value, low: Math.max(0, low), high: Math.min(1, high) });
