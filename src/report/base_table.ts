import type { Summary, SummaryCell } from "../evaluation/records.js";
import type { ResultCell, ResultTable } from "./content.js";
import { interval, share } from "./number_format.js";

/** What the unedited models know: without it neither ES nor DD says anything. */
export function baseTable({ cells, models }: Summary): ResultTable {
  const datasets = [...new Set(cells.map(({ dataset }) => dataset))];
  return {
    title: "The unedited models",
    corner: "data set",
    columns: [
      { title: "base model", help: "The model that is edited" },
      {
        title: "accuracy",
        help: "Share of unrelated questions that the base answers with the gold answer, on the K with most of them",
      },
      {
        title: "ES before editing",
        help: "Share of in-scope questions that the base answers as requested before any edit, on the same K",
      },
      {
        title: "its own record",
        help: "What the recipe that made the model measured: shares answered right",
      },
    ],
    rows: datasets.map((dataset) => {
      const own = cells.filter((cell) => cell.dataset === dataset);
      const widest = own.reduce((best, cell) => (cell.base.accuracy.n > best.base.accuracy.n ? cell : best));
      const figures = [widest.base.accuracy, widest.base.ES].map(
        (figure): ResultCell => ({ value: share(figure.value), interval: interval(figure, share) }),
      );
      return {
        label: dataset,
        cells: [plain(widest.model), ...figures, plain(recordText(models[widest.model] ?? null, widest))],
        isMean: false,
      };
    }),
  };
}

const plain = (value: string): ResultCell => ({ value, interval: null });

/** Of the record what concerns the data set, or else what concerns all that was taught. */
function recordText(figures: Summary["models"][string], { dataset }: SummaryCell): string {
  if (figures === null) return "–";
  const entries = Object.entries(figures);
  const [name = ""] = dataset.split("-full");
  const own = entries.filter(([what]) => what.startsWith(`${name} `) || what.startsWith("perplexity"));
  return (own.length > 0 ? own : entries).map(([what, value]) => `${what} ${share(value)}`).join(", ");
}
