import { type Block, type ReportDocument, tablesOf } from "./document.js";
import { escapeHtml } from "./escape.js";
import { chartFigure, columnLegend, factList, folded, itemList, tableCard } from "./html_blocks.js";
import { htmlPage } from "./html_page.js";

export async function documentHtml(report: ReportDocument): Promise<string> {
  let charts = 0;
  const blockHtml = async (block: Block): Promise<string> => {
    switch (block.kind) {
      case "text":
        return `<p class="card">${escapeHtml(block.text)}</p>`;
      case "list":
        return `<div class="card">${itemList(block.items)}</div>`;
      case "facts":
        return `<div class="card">${factList(block.facts)}</div>`;
      case "table":
        return tableCard(block.table);
      case "folded":
        return folded(block.title, await allHtml(block.blocks));
      case "charts": {
        const figures: string[] = [];
        for (const chart of block.charts) figures.push(await chartFigure(chart, `chart${charts++}`));
        return `<div class="grid">${figures.join("\n")}</div>`;
      }
    }
  };
  const allHtml = async (blocks: readonly Block[]): Promise<string> => {
    const parts: string[] = [];
    for (const block of blocks) parts.push(await blockHtml(block));
    return parts.join("\n");
  };
  const written: { heading: string; html: string }[] = [];
  for (const { heading, blocks } of report.sections) written.push({ heading, html: await allHtml(blocks) });
  const tables = tablesOf(report);
  if (tables.length > 0)
    written.push({
      heading: "What the columns mean",
      html: `<div class="card">${columnLegend(tables)}</div>`,
    });
  return htmlPage({ title: report.title, subtitle: report.subtitle, lead: "", sections: written });
}
