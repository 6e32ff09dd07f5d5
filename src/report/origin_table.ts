import type { SummaryCell } from "../evaluation/records.js";
import { baseName } from "./base_table.js";
import type { ResultCell, ResultTable } from "./content.js";

const KINDS = { edited: "model folder edited elsewhere", predictions: "answers in a file" } as const;

/** Whose answers they are that no editor of this package gave; null where there are none. */
export function originTable(cells: readonly SummaryCell[]): ResultTable | null {
  const rows = cells.flatMap((cell) => {
    const { method, dataset, K, origin } = cell;
    if (origin === null) return [];
    return origin.sources.map(({ path, checksum }) => ({
      label: `${method} ${dataset} K=${K}`,
      cells: [KINDS[origin.kind], path, checksum, baseName(cell)].map(plain),
      isMean: false,
    }));
  });
  if (rows.length === 0) return null;
  return {
    title: "Where the answers come from",
    corner: "cell",
    columns: [
      { title: "what", help: "Whether a model was asked here, or answers that it gave elsewhere were read" },
      { title: "path", help: "As it was named to the command" },
      {
        title: "checksum",
        help: "Of the model's weights as the engine read them, or the SHA-256 of the answers' file",
      },
      { title: "compared with", help: "The unedited model that was asked the same" },
    ],
    rows,
  };
}

const plain = (value: string): ResultCell => ({ value, interval: null });
