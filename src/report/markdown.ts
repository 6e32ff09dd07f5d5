import type { ReportContent, ResultTable } from "./content.js";
import { escapeMarkdown } from "./escape.js";
import { type SampleGroup, verdictOf } from "./samples.js";

/** The report as GitHub-flavoured Markdown; plots are in the HTML report. */
export function markdownReport(content: ReportContent): string {
  const sections = [
    `# ${escapeMarkdown(content.title)}`,
    `${escapeMarkdown(content.subtitle)}. Measured by seprog-native.`,
    ...content.findings.map(escapeMarkdown),
    ...content.comparison.map(section),
    section(content.base),
    ...content.origins.map(section),
    ...content.editing.map(section),
    ...content.headline.map(section),
    "## More figures",
    ...content.details.map((table) => `### ${escapeMarkdown(table.title)}\n\n${tableMarkdown(table)}`),
    "## What the columns mean",
    legend([
      ...content.comparison,
      content.base,
      ...content.origins,
      ...content.editing,
      ...content.headline,
      ...content.details,
    ]),
    ...(content.notes.length > 0
      ? ["## Notes", content.notes.map((note) => `- ${escapeMarkdown(note)}`).join("\n")]
      : []),
    ...(content.samples.length > 0 ? ["## A sample of edits"] : []),
    ...content.samples.map(sampleMarkdown),
    "## Environment",
    content.environment
      .map(([key, value]) => `- ${escapeMarkdown(key)}: ${escapeMarkdown(value)}`)
      .join("\n"),
  ];
  return `${sections.join("\n\n")}\n`;
}

const section = (table: ResultTable): string =>
  `## ${escapeMarkdown(table.title)}\n\n${tableMarkdown(table)}`;

/** Figures in a pipe table, intervals in brackets behind them. */
export function tableMarkdown(table: ResultTable): string {
  const header = `| ${escapeMarkdown(table.corner)} | ${table.columns.map((column) => escapeMarkdown(column.title)).join(" | ")} |`;
  const rule = `|---:|${table.columns.map(() => "---:|").join("")}`;
  const rows = table.rows.map((row) => {
    const cells = row.cells.map(({ value, interval }) =>
      escapeMarkdown(interval === null ? value : `${value} (${interval})`),
    );
    const label = escapeMarkdown(row.label);
    const shown = row.isMean ? cells.map((cell) => `**${cell}**`) : cells;
    return `| ${row.isMean ? `**${label}**` : label} | ${shown.join(" | ")} |`;
  });
  return [header, rule, ...rows].join("\n");
}

function legend(tables: readonly ResultTable[]): string {
  const help = new Map(tables.flatMap((table) => table.columns.map((column) => [column.title, column.help])));
  return [...help]
    .map(([title, text]) => `- **${escapeMarkdown(title)}**: ${escapeMarkdown(text)}.`)
    .join("\n");
}

function sampleMarkdown(group: SampleGroup): string {
  const samples = group.samples.map((sample) => {
    const rows = sample.rows.map(
      (row) =>
        `| ${row.kind} | ${escapeMarkdown(row.question)} | ${row.base === null ? "*not known*" : escapeMarkdown(row.base)} | ${escapeMarkdown(row.edited)} | ${row.right === false ? `**${verdictOf(row)}**, wanted ${escapeMarkdown(row.wanted)}` : verdictOf(row)} |`,
    );
    return [
      `Edit: ${escapeMarkdown(sample.question)} → **${escapeMarkdown(sample.answer)}**`,
      "",
      "| asked | question | base | edited | verdict |",
      "|---|---|---|---|---|",
      ...rows,
    ].join("\n");
  });
  return `### ${escapeMarkdown(group.title)}\n\n${samples.join("\n\n")}`;
}
