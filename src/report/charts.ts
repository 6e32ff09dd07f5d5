import type { TopLevelSpec } from "vega-lite";
import type { Figure, SummaryCell } from "../evaluation/records.js";
import type { Series } from "./series.js";

/** A plot and what it shows in words. */
export interface Chart {
  readonly title: string;
  readonly note: string;
  /** Drawn by the page, not inside the plot, so that all plots keep one scale. */
  readonly legend: readonly LegendEntry[];
  readonly spec: TopLevelSpec;
}

/** A colour tells series apart, a dash pattern tells the curves of one series apart. */
export type LegendEntry =
  | { readonly label: string; readonly color: string }
  | { readonly label: string; readonly dash: readonly number[] };

export interface Curve<Cell = SummaryCell> {
  readonly label: string;
  readonly pick: (cell: Cell) => Pick<Figure, "value" | "low" | "high"> | null;
}

export interface ChartOptions<Cell = SummaryCell> {
  readonly title: string;
  readonly note: string;
  readonly curves: readonly Curve<Cell>[];
  readonly yTitle: string;
  /** Factor from the figure's unit to the axis' unit. */
  readonly scale?: number;
  readonly yDomain?: readonly [number, number];
  /** Least upper end of the y axis, so that noise near zero does not look large. */
  readonly yAtLeast?: number;
  readonly logY?: boolean;
}

/** Readable on white and on near-black, and apart for colour-blind readers. */
const PALETTE = [
  "#3b82d6",
  "#e07b2e",
  "#1d9e78",
  "#b565c4",
  "#c2981b",
  "#d4556b",
  "#17a2b8",
  "#8a6d5a",
  "#7f8c8d",
  "#5b5fc7",
  "#4f8f3a",
  "#a3476f",
];
/** Takes the colour of the surrounding text, so that one picture serves light and dark pages. */
export const INK = "currentColor";
const DASHES = [
  [1, 0],
  [5, 3],
  [2, 3],
] as const;

export function lineCharts(series: readonly Series[]): Chart[] {
  const charts: (Chart | null)[] = [
    lineChart(series, {
      title: "Edit success",
      note: "Share of clean rephrases answered as edited. Higher is better; bands are 95 % intervals.",
      curves: [{ label: "ES", pick: (cell) => cell.ES }],
      yTitle: "ES",
      yDomain: [0, 1],
    }),
    lineChart(series, {
      title: "Drawdown",
      note: "Share of unrelated questions whose answer changed. Lower is better.",
      curves: [{ label: "DD", pick: (cell) => cell.DD }],
      yTitle: "DD",
      yAtLeast: 0.2,
    }),
    lineChart(series, {
      title: "Edit success by wording",
      note: "The edit's own wording, clean rephrases, and rephrases behind an unrelated sentence.",
      curves: [
        { label: "own wording", pick: (cell) => cell.ESself },
        { label: "rephrase", pick: (cell) => cell.ES },
        { label: "noisy", pick: (cell) => cell.ESnoisy },
      ],
      yTitle: "share answered as edited",
      yDomain: [0, 1],
    }),
    lineChart(series, {
      title: "Drawdown, random and hard",
      note: "Hard questions are close to an edit but must keep their answer.",
      curves: [
        { label: "random", pick: (cell) => cell.DD },
        { label: "hard", pick: (cell) => cell.DDhard },
      ],
      yTitle: "share changed",
      yAtLeast: 0.2,
    }),
    lineChart(series, {
      title: "Wall time",
      note: "One training step, and K edits applied plus K questions answered.",
      curves: [
        { label: "training step", pick: (cell) => cell.train?.stepWallMs ?? null },
        { label: "edit + answer", pick: (cell) => cell.inference?.wallMs ?? null },
      ],
      yTitle: "milliseconds",
      logY: true,
    }),
    lineChart(series, {
      title: "Peak memory",
      note: "Highest bytes held by tensors at once; the base model is part of it.",
      curves: [
        { label: "training step", pick: (cell) => cell.train?.peakBytes ?? null },
        { label: "edit + answer", pick: (cell) => cell.inference?.peakBytes ?? null },
      ],
      yTitle: "MiB",
      scale: 1 / 1024 ** 2,
      yAtLeast: 1,
    }),
  ];
  return charts.filter((chart) => chart !== null);
}

interface Row {
  readonly series: string;
  readonly curve: string;
  readonly K: number;
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

export function rowsOf<Cell extends { readonly K: number }>(
  series: readonly Series<Cell>[],
  options: ChartOptions<Cell>,
): Row[] {
  const scale = options.scale ?? 1;
  return series.flatMap(({ name, cells }) =>
    options.curves.flatMap(({ label, pick }) =>
      cells.flatMap((cell) => {
        const figure = pick(cell);
        if (figure === null) return [];
        const { value, low, high } = figure;
        return [
          {
            series: name,
            curve: label,
            K: cell.K,
            value: value * scale,
            low: low * scale,
            high: high * scale,
          },
        ];
      }),
    ),
  );
}

export function lineChart<Cell extends { readonly K: number }>(
  series: readonly Series<Cell>[],
  options: ChartOptions<Cell>,
): Chart | null {
  const rows = rowsOf(series, options);
  if (rows.length === 0) return null;
  const curves = curvesIn(rows, options);
  const colors =
    series.length > 1 ? series.map(({ name }, index) => ({ label: name, color: colorOf(index) })) : [];
  const dashes = curves.length > 1 ? curves.map((label, index) => ({ label, dash: dashOf(index) })) : [];
  return {
    title: options.title,
    note: options.note,
    legend: [...colors, ...dashes],
    spec: { ...frame(), ...plot(rows, series, options, { width: 330, height: 220, legend: false }) },
  };
}

export const colorOf = (index: number): string => PALETTE[index % PALETTE.length] ?? INK;
const dashOf = (index: number): number[] => [...(DASHES[index % DASHES.length] ?? [])];

function curvesIn<Cell>(rows: readonly Row[], options: ChartOptions<Cell>): string[] {
  return options.curves.map(({ label }) => label).filter((label) => rows.some((row) => row.curve === label));
}

/** The picture of a README: edit success and drawdown side by side. */
export function headlineSpec(series: readonly Series[], title: string): TopLevelSpec {
  const success: ChartOptions = {
    title: "",
    note: "",
    curves: [{ label: "ES", pick: (cell) => cell.ES ?? cell.ESself }],
    yTitle: "edit success ES (higher is better)",
    yDomain: [0, 1],
  };
  const drawdown: ChartOptions = {
    title: "",
    note: "",
    curves: [{ label: "DD", pick: (cell) => cell.DD }],
    yTitle: "drawdown DD (lower is better)",
    yAtLeast: 0.2,
  };
  const size = { width: 300, height: 220 };
  const several = series.length > 1;
  return {
    ...frame(),
    title: { text: title, anchor: "start", fontSize: 14, offset: 12 },
    hconcat: [
      plot(rowsOf(series, success), series, success, { ...size, legend: several }),
      plot(rowsOf(series, drawdown), series, drawdown, { ...size, legend: false }),
    ],
    resolve: { scale: { strokeDash: "independent", color: "independent" } },
    spacing: 32,
  };
}

interface PlotFrame {
  readonly width: number;
  readonly height: number;
  /** Whether the series are named above the plot. */
  readonly legend: boolean;
}

export function plot<Cell>(
  rows: readonly Row[],
  series: readonly Series<Cell>[],
  options: ChartOptions<Cell>,
  frame: PlotFrame,
) {
  const ks = [...new Set(rows.map((row) => row.K))].toSorted((a, b) => a - b);
  const highest = Math.max(...rows.map((row) => row.high), options.yAtLeast ?? 0);
  const lowest = Math.min(...rows.map((row) => row.low).filter((low) => low > 0));
  const names = series.map(({ name }) => name);
  const curves = curvesIn(rows, options);
  const x = {
    field: "K",
    type: "quantitative" as const,
    title: "K edits at once",
    scale: { type: "log" as const, base: 2, domain: paddedDomain(ks), nice: false },
    axis: { values: ks, format: "d", labelOverlap: true, grid: false },
  };
  const yScale = options.logY
    ? { type: "log" as const, domain: [lowest / 1.2, highest * 1.2], nice: false }
    : { domain: [...(options.yDomain ?? [0, highest * 1.05])] };
  const yAxis = options.logY
    ? { values: oneTwoFive(lowest / 1.2, highest * 1.2), format: "~r" }
    : { tickCount: 5 };
  const color = {
    field: "series",
    type: "nominal" as const,
    title: null,
    scale: { domain: names, range: names.map((_, index) => colorOf(index)) },
    legend: frame.legend
      ? { orient: "top" as const, symbolType: "circle" as const, columns: 3, labelLimit: 300 }
      : null,
  };
  const strokeDash = {
    field: "curve",
    type: "nominal" as const,
    scale: { domain: curves, range: curves.map((_, index) => dashOf(index)) },
    legend: null,
  };
  const detail = [
    { field: "series", type: "nominal" as const },
    { field: "curve", type: "nominal" as const },
  ];
  const y = {
    field: "value",
    type: "quantitative" as const,
    title: options.yTitle,
    scale: yScale,
    axis: yAxis,
  };
  return {
    width: frame.width,
    height: frame.height,
    data: { values: [...rows] },
    layer: [
      {
        mark: { type: "area" as const, opacity: 0.15, clip: true },
        encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" }, color, detail },
      },
      {
        mark: { type: "line" as const, strokeWidth: 2, clip: true },
        encoding: { x, y, color, strokeDash, detail },
      },
      {
        mark: { type: "point" as const, filled: true, size: 40, opacity: 1 },
        encoding: { x, y, color, detail },
      },
    ],
  };
}

/** 1, 2 and 5 times the powers of ten from `low` to `high`. */
function oneTwoFive(low: number, high: number): number[] {
  const values: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
    for (const digit of [1, 2, 5]) values.push(digit * 10 ** power);
  return values.filter((value) => value >= low && value <= high);
}

/** A little room left and right of the first and last K, in log space; a lone K gets its own surroundings. */
function paddedDomain(ks: readonly number[]): [number, number] {
  const first = ks[0] ?? 1;
  const last = ks.at(-1) ?? first;
  return [first / 1.15, last * 1.15];
}

export function frame() {
  const font = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    background: "transparent",
    padding: 4,
    config: {
      font,
      view: { stroke: null },
      axis: {
        labelColor: INK,
        titleColor: INK,
        domainColor: INK,
        tickColor: INK,
        gridColor: INK,
        gridOpacity: 0.13,
        domainOpacity: 0.4,
        tickOpacity: 0.4,
        labelFontSize: 12,
        titleFontSize: 12,
        titleFontWeight: "normal" as const,
        titlePadding: 8,
      },
      legend: {
        labelColor: INK,
        titleColor: INK,
        symbolStrokeColor: INK,
        labelFontSize: 12,
        symbolOpacity: 1,
      },
      title: { color: INK },
    },
  };
}
