import type { CellResult } from "../evaluation/records.js";
import type { ResultCell, ResultTable } from "./content.js";
import { interval, share, signed } from "./number_format.js";

/** What rounding the base has changed, beside the same cell in fp32; null where no base was rounded to 8 bits. */
export function agreementTable(results: readonly CellResult[]): ResultTable | null {
  const rounded = results.flatMap(({ cell, agreement }) => (agreement ? [{ cell, agreement }] : []));
  if (rounded.length === 0) return null;
  return {
    title: "What rounding the base changed",
    corner: "cell",
    columns: [
      { title: "base", help: "The type that the base's large matrices are rounded to" },
      { title: "ES, fp32", help: "Edit success of the same edits with the base in fp32" },
      { title: "ES, change", help: "What rounding the base added to it" },
      { title: "DD, fp32", help: "Drawdown of the same edits with the base in fp32" },
      { title: "DD, change", help: "What rounding the base added to it" },
      {
        title: "same answers",
        help: "Share of all questions that the edited model answers with the very text that it gives in fp32",
      },
      { title: "same, unedited", help: "The same of the unedited model" },
    ],
    rows: rounded.map(({ cell, agreement: { dtype, ES, DD, sameAnswers, sameBaseAnswers } }) => ({
      label: `${cell.method} ${cell.dataset} K=${cell.K}${cell.seed === 0 ? "" : `, seed ${cell.seed}`}`,
      cells: [
        plain(dtype),
        plain(share(ES.fp32)),
        plain(signed(ES.change)),
        plain(share(DD.fp32)),
        plain(signed(DD.change)),
        { value: share(sameAnswers.value), interval: interval(sameAnswers, share) },
        { value: share(sameBaseAnswers.value), interval: interval(sameBaseAnswers, share) },
      ],
      isMean: false,
    })),
  };
}

const plain = (value: string): ResultCell => ({ value, interval: null });
