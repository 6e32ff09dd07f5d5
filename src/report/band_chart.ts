import { type Chart, colorOf, frame, type LegendEntry } from "./charts.js";

/** A figure with its interval, at a place of the x axis, of one series. */
export interface BandPoint {
  readonly series: string;
  readonly at: string;
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

export interface BandChart {
  readonly title: string;
  readonly note: string;
  readonly points: readonly BandPoint[];
  /** Names in the order of their colours. */
  readonly series: { readonly title: string; readonly names: readonly string[] };
  /** Places in their order. */
  readonly x: { readonly title: string; readonly places: readonly string[] };
  readonly y: { readonly title: string; readonly highest: number };
}

/** A line with its interval for each series, over places that are not numbers on a scale. */
export function bandChart({ title, note, points, series, ...axes }: BandChart): Chart {
  const x = {
    field: "at",
    type: "ordinal" as const,
    title: axes.x.title,
    sort: [...axes.x.places],
    axis: { labelAngle: 0 },
  };
  const y = figureAxis(axes.y.title, axes.y.highest);
  const color = { ...colorsOf("series", series.names), title: series.title };
  return {
    title,
    note,
    legend: series.names.length > 1 ? legendOf(series.names) : [],
    spec: {
      ...frame(),
      width: 330,
      height: 220,
      data: { values: [...points] },
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

/** The y axis of a field, from 0. */
export const figureAxis = (title: string, highest: number) => (field: string) => ({
  field,
  type: "quantitative" as const,
  title,
  scale: { domain: [0, highest] },
  axis: { tickCount: 5 },
});

export const legendOf = (names: readonly string[]): LegendEntry[] =>
  names.map((label, index) => ({ label, color: colorOf(index) }));

export const colorsOf = (field: string, names: readonly string[]) => ({
  field,
  type: "nominal" as const,
  scale: { domain: [...names], range: names.map((_, index) => colorOf(index)) },
  legend: null,
});
