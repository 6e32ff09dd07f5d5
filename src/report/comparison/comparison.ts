import type { Receipt } from "../../evaluation/receipt.js";
import { flatten, type ResultTable } from "../content.js";
import { csv } from "../csv.js";
import { type Block, type ReportDocument, sections, tableBlock } from "../document.js";
import { interval, signed, times } from "../number_format.js";
import type { ComparedFigure, FigureVerdict } from "./compared_figure.js";

/** Two runs of one kind beside each other. */
export interface Comparison {
  readonly before: string;
  readonly after: string;
  readonly figures: readonly ComparedFigure[];
  /** What else there is to say of what both have, as sentences. */
  readonly remarks: readonly string[];
  readonly moreTables: readonly ResultTable[];
  readonly onlyBefore: readonly string[];
  readonly onlyAfter: readonly string[];
  /** Receipts of the cells that both have, in the same order; null in old records. */
  readonly receipts: readonly (readonly [Receipt | null, Receipt | null])[];
}

const WORDS: Readonly<Record<FigureVerdict, string>> = { up: "up", down: "down", same: "same" };

const formatOf = ({ kind }: ComparedFigure): ((value: number) => string) =>
  kind === "ratio" ? times : signed;

/** What changed and what did not, a row a figure. */
export function figureTable(title: string, figures: readonly ComparedFigure[]): ResultTable {
  return {
    title,
    corner: "cell",
    columns: [
      { title: "figure", help: "What is compared" },
      {
        title: "change",
        help: "Second / first for costs, second − first for shares; the interval holds for all figures of the comparison together",
      },
      { title: "beyond noise", help: "up or down where the interval leaves out no change" },
      { title: "before", help: "In the first run" },
      { title: "after", help: "In the second run" },
    ],
    rows: figures.map((figure) => ({
      label: figure.cell,
      cells: [
        { value: figure.name, interval: null },
        {
          value: formatOf(figure)(figure.change.value),
          interval:
            figure.change.low === figure.change.high ? null : interval(figure.change, formatOf(figure)),
          order: figure.change.value,
        },
        { value: WORDS[figure.verdict], interval: null },
        { value: figure.format(figure.before), interval: null, order: figure.before },
        { value: figure.format(figure.after), interval: null, order: figure.after },
      ],
      isMean: false,
    })),
  };
}

/** The comparison in one sentence. */
export function inShort({ figures, onlyBefore, onlyAfter }: Comparison): string {
  const count = (verdict: FigureVerdict): number => figures.filter((one) => one.verdict === verdict).length;
  const alone = onlyBefore.length + onlyAfter.length;
  return `Of ${figures.length} figures that both runs have, ${count("up")} went up and ${count("down")} went down beyond noise; ${count("same")} stayed the same.${alone === 0 ? "" : ` ${alone === 1 ? "1 cell is" : `${alone} cells are`} in one run alone.`}`;
}

export function changedTable({ figures }: Comparison): ResultTable | null {
  const changed = figures
    .filter(({ verdict }) => verdict !== "same")
    .toSorted((a, b) => sizeOf(b) - sizeOf(a));
  return changed.length === 0
    ? null
    : figureTable("What changed beyond noise, largest change first", changed);
}

const sizeOf = ({ change, kind }: ComparedFigure): number =>
  Math.abs(kind === "ratio" ? Math.log(change.value) : change.value);

export function comparisonDocument(comparison: Comparison): ReportDocument {
  const { before, after, figures, remarks, moreTables, onlyBefore, onlyAfter } = comparison;
  const changed = changedTable(comparison);
  const same = figures.filter(({ verdict }) => verdict === "same");
  const alone = [
    ...onlyBefore.map((name) => `${name}: only in ${before}`),
    ...onlyAfter.map((name) => `${name}: only in ${after}`),
  ];
  const differences = receiptDifferences(comparison);
  return {
    title: `${before} and ${after} compared`,
    subtitle: `Before is ${before}, after is ${after}.`,
    sections: sections(
      {
        heading: "In short",
        blocks: [inShort(comparison), ...remarks].map((text): Block => ({ kind: "text", text })),
      },
      { heading: "What changed", blocks: changed === null ? [] : [tableBlock(changed)] },
      {
        heading: "What stayed the same",
        blocks:
          same.length === 0
            ? []
            : [
                {
                  kind: "folded",
                  title: same.length === 1 ? "1 figure" : `${same.length} figures`,
                  blocks: [tableBlock(figureTable("What did not change beyond noise", same))],
                },
              ],
      },
      { heading: "Side by side", blocks: moreTables.map(tableBlock) },
      { heading: "In one run alone", blocks: alone.length === 0 ? [] : [{ kind: "list", items: alone }] },
      {
        heading: "What the runs rest on",
        blocks:
          differences.length === 0
            ? [{ kind: "text", text: "Code, configuration, data, weights and machine are the same." }]
            : [{ kind: "facts", facts: differences }],
      },
    ),
  };
}

/** One row a figure. */
export const comparisonCsv = ({ figures }: Comparison): string =>
  csv(
    ["cell", "figure", "before", "after", "kind", "change", "change_low", "change_high", "beyond_noise"],
    figures.map(({ cell, name, before, after, kind, change, verdict }) => [
      cell,
      name,
      before,
      after,
      kind,
      change.value,
      change.low,
      change.high,
      verdict,
    ]),
  );

/** Facts of the receipts that differ in some cell, `first → second`; what stands in every cell's own hash is one line. */
export function receiptDifferences({
  receipts,
}: Pick<Comparison, "receipts">): (readonly [string, string])[] {
  const changes = new Map<string, Set<string>>();
  for (const [then, now] of receipts) {
    if (then === null || now === null) continue;
    const facts = new Map(flatten({ ...now }));
    for (const [name, value] of flatten({ ...then })) {
      const later = facts.get(name) ?? "none";
      if (name !== "outputHash" && value !== later)
        changes.set(name, (changes.get(name) ?? new Set()).add(`${value} → ${later}`));
    }
  }
  return [...changes].map(([name, texts]) => {
    const [first = ""] = texts;
    return [name, texts.size === 1 ? first : `differs in ${texts.size} ways`] as const;
  });
}

/** Whether the answers of the cells that both runs have are the same, token by token. */
export function outputRemark(receipts: Comparison["receipts"]): string[] {
  const known = receipts.flatMap(([then, now]) =>
    then === null || now === null ? [] : [then.outputHash === now.outputHash],
  );
  if (known.length === 0) return [];
  const same = known.filter(Boolean).length;
  return [
    same === known.length
      ? `The answers of all ${known.length} cells are the same, token by token.`
      : `The answers of ${known.length - same} of ${known.length} cells are not the same.`,
  ];
}
