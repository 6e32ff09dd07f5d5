import { type Chart, colorOf, frame, INK } from "../charts.js";

/** Parts of a whole, in the order in which they are stacked; each has its colour in every plot. */
export interface Parts {
  readonly names: readonly string[];
  /** What is none of them. */
  readonly rest: string;
  readonly labels?: Readonly<Record<string, string>>;
}

const REST_COLOR = "#8b949e";

export const partColor = (parts: Parts, name: string): string => {
  const index = parts.names.indexOf(name);
  return index < 0 || name === parts.rest ? REST_COLOR : colorOf(index);
};

export const partLabel = ({ labels }: Parts, name: string): string => labels?.[name] ?? name;

export interface Bar {
  readonly label: string;
  readonly parts: ReadonlyMap<string, number>;
}

export interface BarOptions {
  readonly title: string;
  readonly note: string;
  readonly xTitle: string;
  readonly parts: Parts;
  /** Factor from the parts' unit to the axis' unit. */
  readonly scale?: number;
  /** Every bar as long as the other: what each part's share is. */
  readonly asShares?: boolean;
}

/** Bars lie on their side: names of methods then need no tilting, and many fit on a phone. Null without any bar. */
export function stackedBars(bars: readonly Bar[], options: BarOptions): Chart | null {
  const { parts, scale = 1, asShares = false } = options;
  const present = new Set(
    bars.flatMap((bar) => [...bar.parts].flatMap(([name, value]) => (value > 0 ? name : []))),
  );
  // Names that the list does not know stand at the end, in the colour of the rest.
  const names = [...parts.names, ...[...present].filter((name) => !parts.names.includes(name))].filter(
    (name) => present.has(name),
  );
  if (names.length === 0) return null;
  const values = bars.flatMap((bar) =>
    names.flatMap((name, order) => {
      const value = (bar.parts.get(name) ?? 0) * scale;
      return value > 0 ? [{ bar: bar.label, part: partLabel(parts, name), order, value }] : [];
    }),
  );
  const labels = names.map((name) => partLabel(parts, name));
  return {
    title: options.title,
    note: options.note,
    legend: names.map((name) => ({ label: partLabel(parts, name), color: partColor(parts, name) })),
    spec: {
      ...frame(),
      width: 330,
      height: Math.max(60, 24 * bars.length),
      data: { values },
      mark: { type: "bar" as const, stroke: INK, strokeOpacity: 0.25, strokeWidth: 0.5 },
      encoding: {
        y: {
          field: "bar",
          type: "nominal" as const,
          sort: bars.map(({ label }) => label),
          axis: { title: null, ticks: false, domain: false, labelLimit: 240 },
        },
        x: {
          field: "value",
          type: "quantitative" as const,
          stack: asShares ? ("normalize" as const) : ("zero" as const),
          title: options.xTitle,
          axis: { tickCount: 5, ...(asShares && { format: "%" }) },
        },
        color: {
          field: "part",
          type: "nominal" as const,
          scale: { domain: labels, range: names.map((name) => partColor(parts, name)) },
          legend: null,
        },
        order: { field: "order", type: "quantitative" as const },
      },
    },
  };
}
