import type { SummaryCell } from "../evaluation/records.js";
import { drawdownOrder } from "./ablation_order.js";
import { agreementTable } from "./agreement_table.js";
import { baseTable } from "./base_table.js";
import { bySchedule } from "./by_schedule.js";
import { type Chart, lineCharts } from "./charts.js";
import { type Column, type ColumnHead, DETAIL_COLUMNS, HEADLINE_COLUMNS } from "./columns.js";
import { editingTables, tuningTable } from "./editing_tables.js";
import { Grid } from "./grid.js";
import { comparisonCharts } from "./grid_charts.js";
import { comparisonTables } from "./grid_tables.js";
import { NOT_MEASURED, overBudgetText } from "./number_format.js";
import { originTable } from "./origin_table.js";
import { allPairTests } from "./paired_tables.js";
import { retentionCharts } from "./retention_charts.js";
import type { RunData } from "./run_data.js";
import { readSamples, type SampleGroup } from "./samples.js";
import { meanOver, NO_BASE, type Series, toSeries } from "./series.js";
import { bytes } from "./units.js";

/** Figures in rows and columns; `corner` names the rows. */
export interface ResultTable {
  readonly title: string;
  readonly corner: string;
  readonly columns: readonly ColumnHead[];
  readonly rows: readonly ResultRow[];
}

export interface ResultRow {
  readonly label: string;
  readonly cells: readonly ResultCell[];
  readonly isMean: boolean;
}

export interface ResultCell {
  readonly value: string;
  /** `low – high`, where the figure has an interval. */
  readonly interval: string | null;
  /** What rows are sorted by, where the text does not say it: `1.2 s` beside `900 ms`. */
  readonly order?: number;
}

/** All that a report says, before it is put into a format. */
export interface ReportContent {
  readonly title: string;
  /** What was measured, in one line. */
  readonly subtitle: string;
  /** What the methods' comparison comes to, in sentences. */
  readonly findings: readonly string[];
  /** What was not run, and what else a reader should know. */
  readonly notes: readonly string[];
  readonly series: readonly Series[];
  /** Methods side by side; empty with one method. */
  readonly comparison: readonly ResultTable[];
  readonly base: ResultTable;
  /** Whose answers they are, where others made them; else empty. */
  readonly origins: readonly ResultTable[];
  /** What rounding the base changed, what was tuned, and what fitting weights to edits took. */
  readonly editing: readonly ResultTable[];
  readonly headline: readonly ResultTable[];
  readonly details: readonly ResultTable[];
  readonly charts: readonly Chart[];
  readonly samples: readonly SampleGroup[];
  readonly environment: readonly (readonly [string, string])[];
}

export async function reportContent(measured: RunData): Promise<ReportContent> {
  const run = bySchedule(measured);
  const { summary } = run;
  const series = toSeries(summary.cells);
  const results = run.cells.map(({ result }) => result);
  const grid = new Grid(results, summary.overBudget);
  const isComparison = grid.methods.length > 1;
  const order = drawdownOrder(grid);
  return {
    title: summary.suite,
    subtitle: subtitle(summary.cells),
    findings: order === null ? [] : [order],
    notes: notesOf(run),
    series,
    comparison: comparisonTables(grid),
    editing: [agreementTable(results) ?? [], tuningTable(results) ?? [], editingTables(results)].flat(),
    base: baseTable(summary),
    origins: [originTable(summary.cells) ?? []].flat(),
    headline: series.map((one) => resultTable(one, HEADLINE_COLUMNS)),
    details: [allPairTests(grid) ?? [], series.map((one) => resultTable(one, DETAIL_COLUMNS))].flat(),
    charts: [
      ...(isComparison ? comparisonCharts(grid, summary.cells) : lineCharts(series)),
      ...retentionCharts(results),
    ],
    samples: await readSamples(run),
    environment: flatten(summary.environment),
  };
}

function notesOf({ summary: { notes, missing, overBudget, cells } }: RunData): string[] {
  const stopped = new Map(
    overBudget.map((one) => [`${one.method} on ${one.dataset}, seed ${one.seed}`, one] as const),
  );
  const planned = missing.length === 1 ? "1 planned cell was" : `${missing.length} planned cells were`;
  return [
    ...notes,
    ...costNote(cells),
    ...[...stopped].map(([editor, one]) => `${editor}: training ${overBudgetText(one)}; not measured.`),
    ...(missing.length > 0 ? [`${planned} not measured: ${missing.join(", ")}.`] : []),
  ];
}

/** Why figures of cost are missing. */
function costNote(cells: readonly SummaryCell[]): string[] {
  const untimed = cells.filter(({ origin, inference }) => origin !== null && inference === null);
  if (untimed.length === 0) return [];
  const names = [...new Set(untimed.map(({ method }) => method))].join(", ");
  return [
    `Times and peaks of ${names} are ${NOT_MEASURED}: the edits were made elsewhere, where nothing was timed.`,
  ];
}

function subtitle(cells: readonly SummaryCell[]): string {
  const distinct = (pick: (cell: SummaryCell) => string): string => [...new Set(cells.map(pick))].join(", ");
  const schedules = [...new Set(cells.map(({ schedule }) => schedule))].map(scheduleWords);
  return `${distinct((cell) => cell.method)} on ${distinct((cell) => cell.model ?? NO_BASE)}, edits of ${distinct((cell) => cell.dataset)}${schedules.join(", or")}`;
}

/** How edits were made, where not all at once. */
function scheduleWords(schedule: string): string {
  if (schedule === "simultaneous") return "";
  const [, when = schedule, gap, count] = /^(immediate|final|gap=(\d+))(?: by (\d+))?$/.exec(schedule) ?? [];
  const made = count === undefined ? "one after the other" : `${count} at a time, one step after the other`;
  const asked =
    gap === undefined
      ? { immediate: "right after each", final: "after the last" }[when]
      : `${gap} edits later`;
  return `, edits made ${made} and asked about ${asked ?? when}`;
}

export function resultTable({ name, cells }: Series, columns: readonly Column[]): ResultTable {
  const used = columns.filter((column) => cells.some((cell) => column.pick(cell) !== null));
  const rows = cells.map((cell) => ({
    label: String(cell.K),
    cells: used.map((column) => figureCell(cell, column)),
    isMean: false,
  }));
  const mean = {
    label: "mean",
    cells: used.map((column) => {
      const value = meanOver(cells, column.pick);
      return { value: value === null ? "–" : column.format(value), interval: null };
    }),
    isMean: true,
  };
  return { title: name, corner: "K", columns: used, rows: cells.length > 1 ? [...rows, mean] : rows };
}

function figureCell(cell: SummaryCell, column: Column): ResultCell {
  const figure = column.pick(cell);
  if (figure === null) return { value: cell.origin === null ? "–" : NOT_MEASURED, interval: null };
  return {
    value: column.format(figure.value),
    order: figure.value,
    interval:
      figure.low === figure.high ? null : `${column.format(figure.low)} – ${column.format(figure.high)}`,
  };
}

/** Nested objects as `outer.inner` → text. */
export function flatten(
  value: { readonly [key: string]: unknown },
  prefix = "",
): (readonly [string, string])[] {
  return Object.entries(value).flatMap(([key, item]) => {
    const path = prefix === "" ? key : `${prefix}.${key}`;
    if (item === null) return [];
    if (Array.isArray(item)) return [[path, item.map(String).join(", ")] as const];
    if (typeof item === "object") return flatten({ ...item }, path);
    if (typeof item === "number" && key.endsWith("Bytes"))
      return [[path.slice(0, -"Bytes".length), bytes(item)] as const];
    return [[path, String(item)] as const];
  });
}
