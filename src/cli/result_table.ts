import { drawdownOrder } from "../report/ablation_order.js";
import { bySchedule } from "../report/by_schedule.js";
import { HEADLINE_COLUMNS } from "../report/columns.js";
import { resultTable } from "../report/content.js";
import { Grid } from "../report/grid.js";
import { comparisonTables } from "../report/grid_tables.js";
import type { RunData } from "../report/run_data.js";
import { toSeries } from "../report/series.js";
import { textTable } from "../report/text_table.js";

/** The result tables of a run: of several methods their means side by side, else one a series with the means over K. */
export function printTables(measured: RunData, stream: NodeJS.WritableStream = process.stdout): void {
  const run = bySchedule(measured);
  const grid = new Grid(
    run.cells.map(({ result }) => result),
    run.summary.overBudget,
  );
  const tables =
    grid.methods.length > 1
      ? comparisonTables(grid)
      : toSeries(run.summary.cells).map((series) => resultTable(series, HEADLINE_COLUMNS));
  for (const table of tables) stream.write(`\n${textTable(table)}\n`);
  const order = drawdownOrder(grid);
  if (order !== null) stream.write(`\n${order}\n`);
}
