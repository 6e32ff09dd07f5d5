import type { Chart } from "./charts.js";
import type { ResultTable } from "./content.js";

/** What a report says, before it is put into a format. */
export interface ReportDocument {
  readonly title: string;
  /** What was measured, in one line. */
  readonly subtitle: string;
  readonly sections: readonly Section[];
}

export interface Section {
  readonly heading: string;
  readonly blocks: readonly Block[];
}

export type Block =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "list"; readonly items: readonly string[] }
  | { readonly kind: "table"; readonly table: ResultTable }
  | { readonly kind: "charts"; readonly charts: readonly Chart[] }
  | { readonly kind: "facts"; readonly facts: readonly (readonly [string, string])[] }
  /** There to be looked up: closed until it is asked for. */
  | { readonly kind: "folded"; readonly title: string; readonly blocks: readonly Block[] };

export const tableBlock = (table: ResultTable): Block => ({ kind: "table", table });

/** Sections that have something to say. */
export const sections = (...all: readonly Section[]): Section[] =>
  all.filter(({ blocks }) => blocks.length > 0);

/** All blocks in order, those inside folds too. */
export const blocksOf = (report: ReportDocument): Block[] =>
  report.sections.flatMap(({ blocks }) => blocks.flatMap(unfold));

const unfold = (block: Block): Block[] => (block.kind === "folded" ? block.blocks.flatMap(unfold) : [block]);

export const tablesOf = (report: ReportDocument): ResultTable[] =>
  blocksOf(report).flatMap((block) => (block.kind === "table" ? [block.table] : []));

export const chartsOf = (report: ReportDocument): Chart[] =>
  blocksOf(report).flatMap((block) => (block.kind === "charts" ? block.charts : []));

/** The columns of the tables with what they mean, each title once. */
export function columnHelp(tables: readonly ResultTable[]): (readonly [string, string])[] {
  return [...new Map(tables.flatMap(({ columns }) => columns.map(({ title, help }) => [title, help])))];
}
