import type { TopLevelSpec } from "vega-lite";
import type { SummaryCell } from "../evaluation/records.js";
import { meanOverSeeds, SHARE } from "../metrics/stratified.js";
import { bandChart, colorsOf, figureAxis, legendOf } from "./band_chart.js";
import { type Chart, type ChartOptions, frame, INK, lineChart, plot, rowsOf } from "./charts.js";
import type { Grid, GridEstimate, GridFigure, GridMethod } from "./grid.js";
import { groupBy } from "./group_by.js";
import type { Series } from "./series.js";

const FIGURES = ["ES", "DD"] as const;
const NAMES: Readonly<Record<GridFigure, string>> = { ES: "Edit success", DD: "Drawdown" };

/** Methods side by side: their means over K, what a swept option does, and their course over K on every data set. */
export function comparisonCharts(grid: Grid, cells: readonly SummaryCell[]): Chart[] {
  const plain = grid.methods.filter(({ sweep }) => sweep === null);
  return [
    ...(plain.length > 1 ? FIGURES.map((figure) => barChart(grid, plain, figure)) : []),
    ...sweepCharts(grid),
    ...FIGURES.flatMap((figure) =>
      grid.datasets.flatMap(
        (dataset) => lineChart(seriesOf(cells, dataset), optionsOf(figure, dataset)) ?? [],
      ),
    ),
  ];
}

/** The picture of a README: edit success above, drawdown below, a column a data set. */
export function gridHeadlineSpec(cells: readonly SummaryCell[], title: string): TopLevelSpec {
  const datasets = [...new Set(cells.map(({ dataset }) => dataset))];
  const size = { width: 170, height: 140 };
  return {
    ...frame(),
    title: { text: title, anchor: "start", fontSize: 14, offset: 12 },
    vconcat: FIGURES.map((figure, row) => ({
      hconcat: datasets.map((dataset, column) => {
        const series = seriesOf(cells, dataset);
        const options = { ...optionsOf(figure, dataset), yTitle: column === 0 ? figure : "" };
        return {
          ...(row === 0 && { title: { text: dataset, fontSize: 12 } }),
          ...plot(rowsOf(series, options), series, options, { ...size, legend: true }),
        };
      }),
    })),
    resolve: { scale: { strokeDash: "independent", color: "shared" } },
    spacing: 20,
  };
}

function optionsOf(figure: GridFigure, dataset: string): ChartOptions {
  return {
    title: `${NAMES[figure]} · ${dataset}`,
    note: figure === "ES" ? "Higher is better." : "Lower is better.",
    curves: [{ label: figure, pick: (cell) => cell[figure] }],
    yTitle: figure,
    ...(figure === "ES" ? { yDomain: [0, 1] as const } : { yAtLeast: 0.2 }),
  };
}

/** The methods on one data set, one cell a K: of several seeds the mean of ES and DD with their interval over seeds. */
function seriesOf(cells: readonly SummaryCell[], dataset: string): Series[] {
  const own = cells.filter((cell) => cell.dataset === dataset);
  return [...new Set(own.map(({ method }) => method))].map((name) => {
    const byK = groupBy(
      own.filter(({ method }) => method === name),
      ({ K }) => K,
    );
    const merged = [...byK.values()].flatMap((ofSeeds) => overSeeds(ofSeeds) ?? []);
    return { name, cells: merged.toSorted((a, b) => a.K - b.K) };
  });
}

function overSeeds(cells: readonly SummaryCell[]): SummaryCell | undefined {
  const [first] = cells;
  if (first === undefined) return undefined;
  const merged = (figure: GridFigure) =>
    meanOverSeeds(
      cells.flatMap((cell) => cell[figure]?.value ?? []),
      SHARE,
    ) ?? first[figure];
  return { ...first, ES: merged("ES") ?? first.ES, DD: merged("DD") };
}

interface Bar {
  readonly dataset: string;
  readonly method: string;
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

function barChart(grid: Grid, methods: readonly GridMethod[], figure: GridFigure): Chart {
  const bars = grid.datasets.flatMap((dataset) =>
    methods.flatMap(({ name }): Bar[] => {
      const mean = grid.mean(figure, name, [dataset]);
      return mean === null ? [] : [{ dataset, method: name, ...withinOne(mean) }];
    }),
  );
  const names = methods.map(({ name }) => name);
  const x = {
    field: "dataset",
    type: "nominal" as const,
    sort: null,
    axis: { title: null, labelAngle: -20, ticks: false },
  };
  const xOffset = { field: "method", type: "nominal" as const, sort: names };
  const y = figureAxis(figure, 1);
  return {
    title: `${NAMES[figure]} by method, mean over K`,
    note: `${figure === "ES" ? "Higher" : "Lower"} is better; lines are 95 % intervals.`,
    legend: legendOf(names),
    spec: {
      ...frame(),
      // Bars of many methods keep a width that can be told apart.
      width: Math.max(330, 10 * bars.length),
      height: 220,
      data: { values: bars },
      layer: [
        {
          mark: { type: "bar" as const },
          encoding: { x, xOffset, y: y("value"), color: colorsOf("method", names) },
        },
        {
          mark: { type: "rule" as const, color: INK, strokeWidth: 1.5 },
          encoding: { x, xOffset, y: y("low"), y2: { field: "high" } },
        },
      ],
    },
  };
}

/** A share's interval over seeds may reach beyond what a share can be. */
function withinOne({ value, low, high }: GridEstimate) {
  return { value, low: Math.max(0, low), high: Math.min(1, high) };
}

function sweepCharts(grid: Grid): Chart[] {
  const swept = groupBy(
    grid.methods.filter(({ sweep }) => sweep !== null),
    ({ sweep }) => `${sweep?.of} ${sweep?.option}`,
  );
  return [...swept.values()].flatMap((methods) => FIGURES.map((figure) => sweepChart(grid, methods, figure)));
}

function sweepChart(grid: Grid, methods: readonly GridMethod[], figure: GridFigure): Chart {
  const option = methods[0]?.sweep?.option ?? "";
  const points = grid.datasets.flatMap((series) =>
    methods.flatMap(({ name, sweep }) => {
      const mean = grid.mean(figure, name, [series]);
      return mean === null ? [] : [{ series, at: sweep?.value ?? "", ...withinOne(mean) }];
    }),
  );
  const highest = Math.max(...points.map(({ high }) => high), 0.2);
  return bandChart({
    title: `${NAMES[figure]} against ${option}`,
    note: `Mean over K; ${figure === "ES" ? "higher" : "lower"} is better.`,
    points,
    series: { title: "dataset", names: grid.datasets },
    x: { title: option, places: methods.map(({ sweep }) => sweep?.value ?? "") },
    y: { title: figure, highest: figure === "ES" ? 1 : highest * 1.05 },
  });
}
