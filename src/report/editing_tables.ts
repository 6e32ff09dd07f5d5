import type { CellResult } from "../evaluation/records.js";
import type { ResultTable } from "./content.js";
import { compactNumber } from "./number_format.js";

const HELP: Readonly<Record<string, string>> = {
  steps: "Steps of fitting weights to the edits, mean over episodes",
  stoppedByLimit: "Share of episodes in which the limit of steps ended fitting before every edit was learned",
  stoppedShare: "Share of edits that were answered as requested before their last step",
  editLoss: "−ln p per token of the requested answers when fitting ended, nats",
  editAccuracy:
    "Share of edits whose answer every token was the likeliest of when fitting ended, teacher-forced",
  residualNorm: "Norm of the change of the weights",
  updateNorm: "Norm of the change of the weights",
  wallMs: "Wall time of fitting, milliseconds",
};

/** Figures of single matrices, `residualNorm.decoder.block.0…`, stay in the records. */
const isOfWhole = (name: string): boolean => !name.includes(".");

/** What fitting weights to the edits took and how it ended, a table a method: it says why edits failed. */
export function editingTables(results: readonly CellResult[]): ResultTable[] {
  const fitting = results.filter(({ editing }) => Object.keys(editing).length > 0);
  return [...new Set(fitting.map(({ cell }) => cell.method))].map((method) => {
    const own = fitting.filter(({ cell }) => cell.method === method);
    const names = [...new Set(own.flatMap(({ editing }) => Object.keys(editing)))].filter(isOfWhole);
    return {
      title: `What editing took: ${method}, means over episodes`,
      corner: "cell",
      columns: names.map((name) => ({ title: name, help: HELP[name] ?? `\`${name}\` of the edit` })),
      rows: own.map(({ cell, editing }) => ({
        label: `${cell.dataset} K=${cell.K}${cell.seed === 0 ? "" : `, seed ${cell.seed}`}`,
        cells: names.map((name) => ({
          value: editing[name] === undefined ? "–" : compactNumber(editing[name]),
          interval: null,
        })),
        isMean: false,
      })),
    };
  });
}

/** The values that were chosen on the validation split; null where nothing was tuned. */
export function tuningTable(results: readonly CellResult[]): ResultTable | null {
  const tuned = results.filter(({ tuning }) => tuning !== null);
  if (tuned.length === 0) return null;
  return {
    title: "Options tuned on the validation split, by ES − DD",
    corner: "cell",
    columns: [
      { title: "option", help: "What was tuned, for every data set and K by itself" },
      { title: "chosen", help: "The value with the largest ES − DD on edits of the validation split" },
      { title: "edits", help: "Edits that each value was tried on" },
      { title: "tried", help: "Every value with its ES − DD; – where numbers were not finite" },
    ],
    rows: tuned.flatMap(({ cell, tuning }) =>
      tuning === null
        ? []
        : [
            {
              label: `${cell.method} ${cell.dataset} K=${cell.K}${cell.seed === 0 ? "" : `, seed ${cell.seed}`}`,
              cells: [
                tuning.option,
                compactNumber(tuning.value),
                String(tuning.edits),
                tuning.tried
                  .map(({ value, ES, DD }) => {
                    const score = ES === null || DD === null ? "–" : (ES - DD).toFixed(3);
                    return `${compactNumber(value)}: ${score}`;
                  })
                  .join("; "),
              ].map((value) => ({ value, interval: null })),
              isMean: false,
            },
          ],
    ),
  };
}
