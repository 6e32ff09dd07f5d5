import { EDITORS } from "../editors/registry.js";
import type { OverBudget } from "../evaluation/records.js";
import type { ColumnHead } from "./columns.js";
import type { ResultCell, ResultTable } from "./content.js";
import type { Grid, GridEstimate, GridFigure } from "./grid.js";
import { interval, overBudgetText, share, signed } from "./number_format.js";
import { referenceTests } from "./paired_tables.js";

const NAMES: Readonly<Record<GridFigure, string>> = { ES: "Edit success ES", DD: "Drawdown DD" };
const FIGURES = ["ES", "DD"] as const;

/** More methods than this stand in rows, not in columns. */
const MOST_COLUMNS = 5;

/** What a run of several methods comes to: their means over K, and how they differ. */
export function comparisonTables(grid: Grid): ResultTable[] {
  if (grid.methods.length < 2) return [];
  const tests = referenceTests(grid) ?? [];
  if (grid.methods.length > MOST_COLUMNS) return [methodTable(grid), tests].flat();
  return [meanTables(grid), differenceTables(grid), tests].flat();
}

/** Means over K in the shape of the literature: a row a method, ES and DD of every data set side by side. */
export function methodTable(grid: Grid): ResultTable {
  const scopes = grid.datasets.map((dataset) => ({ name: dataset, datasets: [dataset] }));
  const all = grid.datasets.length > 1 ? [{ name: "mean", datasets: grid.datasets }] : [];
  const columns = [...scopes, ...all].flatMap(({ name, datasets }) =>
    FIGURES.map((figure) => ({ figure, datasets, title: `${name} ${figure}` })),
  );
  const over = new Set<string>();
  const rows = grid.methods.map(({ name }) => ({
    label: name,
    cells: columns.map(({ figure, datasets }) => {
      const estimate = grid.mean(figure, name, datasets);
      if (estimate !== null) over.add(estimate.over);
      return cell(estimate, share, grid.overBudget(name, datasets));
    }),
    isMean: false,
  }));
  return {
    title: `ES and DD of every method, mean over K; 95 % intervals over ${[...over].join(" or ") || "episodes"}`,
    corner: "method",
    columns: columns.map(({ figure, title }) => ({ title, help: `${NAMES[figure]}, mean over K` })),
    rows,
  };
}

/** Means over K of every method, a row a data set; ES and DD apart. */
export function meanTables(grid: Grid): ResultTable[] {
  return FIGURES.map((figure) =>
    table(
      grid,
      `${NAMES[figure]}, mean over K`,
      grid.methods.map(({ name, variant }) => ({ title: name, help: helpOf(variant) })),
      (datasets) => grid.methods.map(({ name }) => grid.mean(figure, name, datasets)),
      share,
      (datasets, column) => grid.overBudget(grid.methods[column]?.name ?? "", datasets),
    ),
  );
}

/** How the other methods differ from SEPROG on the same episodes; nothing without SEPROG. */
export function differenceTables(grid: Grid): ResultTable[] {
  const { reference } = grid;
  if (reference === undefined || grid.methods.length < 2) return [];
  const others = grid.methods.filter(({ name }) => name !== reference.name);
  return FIGURES.map((figure) =>
    table(
      grid,
      `${NAMES[figure]}: method − ${reference.name}, mean over K of the same episodes`,
      others.map(({ name, variant }) => ({ title: name, help: helpOf(variant) })),
      (datasets) => others.map(({ name }) => grid.difference(figure, name, reference.name, datasets)),
      signed,
    ),
  );
}

function table(
  grid: Grid,
  title: string,
  columns: readonly ColumnHead[],
  estimatesOf: (datasets: readonly string[]) => readonly (GridEstimate | null)[],
  format: (value: number) => string,
  whyMissing: (datasets: readonly string[], column: number) => OverBudget | undefined = () => undefined,
): ResultTable {
  const row = (label: string, datasets: readonly string[], isMean: boolean) => {
    const estimates = estimatesOf(datasets);
    return {
      row: { label, cells: estimates.map((one, i) => cell(one, format, whyMissing(datasets, i))), isMean },
      estimates,
    };
  };
  const rows = grid.datasets.map((dataset) => row(dataset, [dataset], false));
  if (grid.datasets.length > 1) rows.push(row("mean", grid.datasets, true));
  const over = new Set(rows.flatMap(({ estimates }) => estimates.flatMap((one) => one?.over ?? [])));
  return {
    title: `${title}; 95 % intervals over ${[...over].join(" or ") || "episodes"}`,
    corner: "data set",
    columns,
    rows: rows.map(({ row: one }) => one),
  };
}

function cell(
  estimate: GridEstimate | null,
  format: (value: number) => string,
  missing?: OverBudget,
): ResultCell {
  if (estimate === null) return { value: missing ? overBudgetText(missing) : "–", interval: null };
  return { value: format(estimate.value), interval: interval(estimate, format) };
}

const VARIANT_HELP: Readonly<Record<string, string>> = {
  seprog: "SEPROG as published",
  finetune: "SEPROG that also changes weights of the base model",
  noclassifier: "SEPROG without scope classifier: every question is prompted",
  noselect: "SEPROG's trained editor with the gate always open",
  oraclegate: "SEPROG with the true scope in place of its gate",
  oracleedit: "SEPROG with all attention on the true edit",
  softgate: "SEPROG with both answers mixed by the scope probability",
  edited: "A model folder edited elsewhere",
  predictions: "Answers that another system gave",
  noatt: "SEPROG with the mean of all edits in place of attention",
};

const TITLES = new Map(Object.values(EDITORS).map(({ kind, title }) => [kind, title]));

const helpOf = (variant: string): string => VARIANT_HELP[variant] ?? TITLES.get(variant) ?? variant;
