import type { ElsewhereCell, ElsewhereRecord } from "../evaluation/elsewhere_record.js";
import type { MetricName } from "../metrics/registry.js";
import type { ColumnHead } from "./columns.js";
import type { ResultCell, ResultTable } from "./content.js";
import { interval, share } from "./number_format.js";

interface ElsewhereColumn extends ColumnHead {
  readonly metric: MetricName;
}

const COLUMNS: readonly ElsewhereColumn[] = [
  {
    title: "ES",
    metric: "ES",
    help: "Edit success: share of clean rephrases answered with the edited answer",
  },
  { title: "DD", metric: "DD", help: "Drawdown: share of unrelated questions whose answer changed" },
  { title: "ES self", metric: "ESself", help: "Edit success on the edit's own wording" },
  {
    title: "ES noisy",
    metric: "ESnoisy",
    help: "Edit success on rephrases with an unrelated sentence in front",
  },
  { title: "DD hard", metric: "DDhard", help: "Drawdown on questions close to an edit" },
  {
    title: "DD gold",
    metric: "DDgold",
    help: "Share of unrelated questions answered otherwise than the gold answer",
  },
  { title: "ES forced", metric: "ESteacherForced", help: "Edit success under teacher forcing" },
  { title: "base ES", metric: "ESbase", help: "What ES is before any edit" },
  {
    title: "base accuracy",
    metric: "baseAccuracy",
    help: "Unrelated questions that the base answers with the gold answer",
  },
];

/** One table a data set and schedule, a row a K; columns without a figure are left out. */
export function elsewhereTables({ name, base, cells }: ElsewhereRecord): ResultTable[] {
  const groups = new Map<string, ElsewhereCell[]>();
  for (const cell of cells) {
    const when = cell.schedule === "simultaneous" ? "" : `, ${cell.schedule}`;
    const title = `${name} on ${cell.dataset}${base === null ? "" : `, base ${base.name}`}${when}`;
    groups.set(title, [...(groups.get(title) ?? []), cell]);
  }
  return [...groups].map(([title, own]) => {
    const columns = COLUMNS.filter(({ metric }) => own.some(({ figures }) => figures[metric]));
    const rows = own.toSorted((a, b) => a.K - b.K);
    return {
      title,
      corner: "K",
      columns,
      rows: rows.map((cell) => ({
        label: String(cell.K),
        cells: columns.map(({ metric }) => figureCell(cell, metric)),
        isMean: false,
      })),
    };
  });
}

function figureCell({ figures }: ElsewhereCell, metric: MetricName): ResultCell {
  const figure = figures[metric];
  if (!figure) return { value: "–", interval: null };
  return {
    value: share(figure.value),
    order: figure.value,
    interval: figure.low === figure.high ? null : interval(figure, share),
  };
}
