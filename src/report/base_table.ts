import type { Summary, SummaryCell } from "../evaluation/records.js";
import type { ResultCell, ResultTable } from "./content.js";
import { groupBy } from "./group_by.js";
import { interval, NOT_MEASURED, share } from "./number_format.js";
import { NO_BASE } from "./series.js";

/** What the unedited models know: without it neither ES nor DD says anything. */
export function baseTable({ cells, models }: Summary): ResultTable {
  const known = cells.filter(({ base }) => base.ES !== null);
  const groups = groupBy(known.length > 0 ? known : cells, (cell) =>
    JSON.stringify([cell.dataset, baseName(cell)]),
  );
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
    rows: [...groups.values()].map((own) => {
      const asked = (cell: SummaryCell): number => cell.base.accuracy?.n ?? 0;
      const widest = own.reduce((best, cell) => (asked(cell) > asked(best) ? cell : best));
      const figures = [widest.base.accuracy, widest.base.ES].map(
        (figure): ResultCell =>
          figure === null
            ? plain(NOT_MEASURED)
            : { value: share(figure.value), interval: interval(figure, share) },
      );
      return {
        label: widest.dataset,
        cells: [
          plain(baseName(widest)),
          ...figures,
          plain(recordText(models[widest.model ?? ""] ?? null, widest)),
        ],
        isMean: false,
      };
    }),
  };
}

/** The unedited model; of answers made elsewhere perhaps what the same system said before any edit. */
export function baseName({ model, method, base }: SummaryCell): string {
  if (model !== null) return model;
  return base.ES === null ? NO_BASE : `${method} itself, before any edit`;
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
