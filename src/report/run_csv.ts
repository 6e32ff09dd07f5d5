import type { Figure, SummaryCell } from "../evaluation/records.js";
import { type CsvValue, csv } from "./csv.js";
import type { RunData } from "./run_data.js";

interface CsvFigure {
  readonly name: string;
  readonly pick: (cell: SummaryCell) => Figure | null;
}

const FIGURES: readonly CsvFigure[] = [
  { name: "ES", pick: (cell) => cell.ES },
  { name: "ES_self", pick: (cell) => cell.ESself },
  { name: "ES_all", pick: (cell) => cell.ESall },
  { name: "ES_noisy", pick: (cell) => cell.ESnoisy },
  { name: "DD", pick: (cell) => cell.DD },
  { name: "DD_gold", pick: (cell) => cell.DDgold },
  { name: "DD_hard", pick: (cell) => cell.DDhard },
  { name: "step_wall_ms", pick: (cell) => cell.train?.stepWallMs ?? null },
  { name: "step_peak_bytes", pick: (cell) => cell.train?.peakBytes ?? null },
  { name: "inference_wall_ms", pick: (cell) => cell.inference?.wallMs ?? null },
  { name: "inference_peak_bytes", pick: (cell) => cell.inference?.peakBytes ?? null },
];

const KEYS = ["method", "variant", "dataset", "model", "K", "seed", "schedule"] as const;

/** One row a cell: what it is, then every figure with its interval. */
export function runCsv({ summary }: Pick<RunData, "summary">): string {
  const header = [...KEYS, "edits", ...FIGURES.flatMap(({ name }) => [name, `${name}_low`, `${name}_high`])];
  return csv(
    header,
    summary.cells.map((cell) => [
      ...KEYS.map((key) => cell[key]),
      cell.nEdits,
      ...FIGURES.flatMap(({ pick }): CsvValue[] => {
        const figure = pick(cell);
        return [figure?.value ?? null, figure?.low ?? null, figure?.high ?? null];
      }),
    ]),
  );
}
