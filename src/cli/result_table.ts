import type { Summary } from "../evaluation/records.js";
import { HEADLINE_COLUMNS } from "../report/columns.js";
import { resultTable } from "../report/content.js";
import { toSeries } from "../report/series.js";
import { textTable } from "../report/text_table.js";

/** The result tables of a run, one a series, with the means over K. */
export function printTables(summary: Summary, stream: NodeJS.WritableStream = process.stdout): void {
  for (const series of toSeries(summary.cells)) {
    stream.write(`\n${textTable(resultTable(series, HEADLINE_COLUMNS))}\n`);
  }
}
