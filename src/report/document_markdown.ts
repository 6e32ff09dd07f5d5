import { type Block, columnHelp, type ReportDocument, tablesOf } from "./document.js";
import { escapeMarkdown } from "./escape.js";
import { tableMarkdown } from "./markdown.js";

/** GitHub-flavoured Markdown; plots are in the HTML report. */
export function documentMarkdown(report: ReportDocument): string {
  const tables = tablesOf(report);
  const parts = [
    `# ${escapeMarkdown(report.title)}`,
    escapeMarkdown(report.subtitle),
    ...report.sections.flatMap(({ heading, blocks }) => {
      const texts = blocks.flatMap(blockMarkdown);
      return texts.length === 0 ? [] : [`## ${escapeMarkdown(heading)}`, ...texts];
    }),
    ...(tables.length > 0 ? ["## What the columns mean", facts(columnHelp(tables))] : []),
  ];
  return `${parts.join("\n\n")}\n`;
}

function blockMarkdown(block: Block): string[] {
  switch (block.kind) {
    case "text":
      return [escapeMarkdown(block.text)];
    case "list":
      return [block.items.map((item) => `- ${escapeMarkdown(item)}`).join("\n")];
    case "facts":
      return [facts(block.facts)];
    case "table":
      return [`### ${escapeMarkdown(block.table.title)}`, tableMarkdown(block.table)];
    case "folded":
      return block.blocks.flatMap(blockMarkdown);
    case "charts":
      return [];
  }
}

const facts = (all: readonly (readonly [string, string])[]): string =>
  all.map(([name, text]) => `- **${escapeMarkdown(name)}**: ${escapeMarkdown(text)}`).join("\n");
