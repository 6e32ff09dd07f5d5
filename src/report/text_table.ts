import type { ResultTable } from "./content.js";

const WIDEST_WITH_INTERVALS = 6;

/** A table for the terminal: right-aligned figures, intervals behind those that have one and matter. */
export function textTable(table: ResultTable): string {
  const header = [table.corner, ...table.columns.map((column) => column.title)];
  const body = table.rows.map((row) => [
    row.label,
    ...row.cells.map((cell, index) => {
      // Of a series' many figures only the first two are shares; wide comparisons leave intervals to the report.
      const isShown = table.corner === "K" ? index < 2 : table.columns.length <= WIDEST_WITH_INTERVALS;
      return isShown && cell.interval !== null
        ? `${cell.value} [${cell.interval.replace(" – ", ", ")}]`
        : cell.value;
    }),
  ]);
  const widths = header.map((title, column) =>
    Math.max(title.length, ...body.map((cells) => cells[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell.padStart(widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  const rule = widths.map((width) => "─".repeat(width)).join("  ");
  const rows = table.rows.flatMap((row, index) => {
    const text = line(body[index] ?? []);
    return row.isMean ? [rule, text] : [text];
  });
  return [table.title, line(header), rule, ...rows].join("\n");
}
