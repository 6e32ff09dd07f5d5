import type { SummaryCell } from "../evaluation/records.js";
import type { RunData } from "./run_data.js";

/** A run as tables show it: where schedules differ, what was asked under each is a data set of its own. */
export function bySchedule(run: RunData): RunData {
  const { summary, cells } = run;
  if (new Set(summary.cells.map(({ schedule }) => schedule)).size < 2) return run;
  const named = (cell: SummaryCell): SummaryCell =>
    cell.schedule === "simultaneous" ? cell : { ...cell, dataset: `${cell.dataset}, ${cell.schedule}` };
  return {
    ...run,
    summary: { ...summary, cells: summary.cells.map(named) },
    cells: cells.map(({ folder, result }) => ({ folder, result: { ...result, cell: named(result.cell) } })),
  };
}
