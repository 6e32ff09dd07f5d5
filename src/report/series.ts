import type { Figure, SummaryCell } from "../evaluation/records.js";

/** In place of a base model where none was named. */
export const NO_BASE = "no base model";

/** The cells of one curve: the same method, data set, base model and seed at rising K. */
export interface Series<Cell = SummaryCell> {
  readonly name: string;
  readonly cells: readonly Cell[];
}

/** Groups cells into curves and names each by what tells it from the others. */
export function toSeries(cells: readonly SummaryCell[]): Series[] {
  const parts = (cell: SummaryCell): string[] => [
    cell.method,
    cell.dataset,
    cell.model ?? NO_BASE,
    `seed ${cell.seed}`,
  ];
  const varies = [0, 1, 2, 3].filter((index) => new Set(cells.map((cell) => parts(cell)[index])).size > 1);
  const shown = varies.length === 0 ? [0] : varies;
  const groups = new Map<string, SummaryCell[]>();
  for (const cell of cells) {
    const name = shown.map((index) => parts(cell)[index]).join(" · ");
    groups.set(name, [...(groups.get(name) ?? []), cell]);
  }
  return [...groups].map(([name, group]) => ({ name, cells: group.toSorted((a, b) => a.K - b.K) }));
}

/** Unweighted mean over the cells that have the figure; null when none has. */
export function meanOver(
  cells: readonly SummaryCell[],
  pick: (cell: SummaryCell) => Figure | null,
): number | null {
  const values = cells.flatMap((cell) => pick(cell)?.value ?? []);
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}
