import type { ReportContent, ResultTable } from "./content.js";
import { escapeHtml } from "./escape.js";
import { chartFigure, columnLegend, factList, folded, itemList, tableCard } from "./html_blocks.js";
import { htmlPage } from "./html_page.js";
import { type Sample, type SampleGroup, type SampleRow, verdictOf } from "./samples.js";
import { meanOver, type Series } from "./series.js";

/** The report of a bench run. */
export async function htmlReport(content: ReportContent): Promise<string> {
  const charts: string[] = [];
  for (const [index, chart] of content.charts.entries())
    charts.push(await chartFigure(chart, `chart${index}`));
  const { comparison, base, origins, editing, headline, details, notes, samples, findings } = content;
  return htmlPage({
    title: content.title,
    subtitle: `${content.subtitle}. Measured by seprog-native: does an edit hold, what else changes, what does it cost.`,
    lead: findings.map((text) => `<p class="card">${escapeHtml(text)}</p>`).join("\n"),
    sections: [
      comparison.length > 0
        ? { heading: "Methods compared", html: comparison.map(tableCard).join("\n") }
        : {
            heading: "In short",
            html: `<div class="grid">${content.series.map(headlineCard).join("")}</div>`,
          },
      { heading: "Plots", html: `<div class="grid">${charts.join("\n")}</div>` },
      { heading: "Before any edit", html: tableCard(base) },
      { heading: "Where the answers come from", html: lookUp(content, origins) },
      { heading: "What editing took", html: lookUp(content, editing) },
      { heading: "Results", html: lookUp(content, headline) },
      { heading: "More figures", html: lookUp(content, details) },
      {
        heading: "What the columns mean",
        html: `<div class="card">${columnLegend([...comparison, base, ...origins, ...editing, ...headline, ...details])}</div>`,
      },
      { heading: "Notes", html: notes.length > 0 ? `<div class="card">${itemList(notes)}</div>` : "" },
      { heading: "A sample of edits", html: samples.map(sampleCard).join("\n") },
      { heading: "Environment", html: `<div class="card">${factList(content.environment)}</div>` },
    ],
  });
}

/** Many tables of a comparison are there to be looked up: closed until they are asked for. */
function lookUp({ comparison }: ReportContent, tables: readonly ResultTable[]): string {
  const cards = tables.map(tableCard).join("\n");
  if (comparison.length === 0 || tables.length === 0) return cards;
  return folded(tables.length === 1 ? "1 table" : `${tables.length} tables`, cards);
}

function headlineCard({ name, cells }: Series): string {
  const success = meanOver(cells, (cell) => cell.ES);
  const drawdown = meanOver(cells, (cell) => cell.DD);
  const ks = cells.map((cell) => cell.K).join(", ");
  const figures = [
    [success, "edit success ES"],
    [drawdown, "drawdown DD"],
    [meanOver(cells, (cell) => cell.ESnoisy), "ES, noisy rephrases"],
  ] as const;
  return `<section class="card"><h3>${escapeHtml(name)}</h3><div class="figures">${figures
    .flatMap(([value, label]) =>
      value === null ? [] : [`<div class="figure"><b>${value.toFixed(3)}</b><span>${label}</span></div>`],
    )
    .join("")}</div><p class="soft small">mean over K = ${escapeHtml(ks)}</p></section>`;
}

function sampleCard(group: SampleGroup): string {
  return `<section class="card"><h3>${escapeHtml(group.title)}</h3>${group.samples.map(sampleHtml).join("")}</section>`;
}

function sampleHtml(sample: Sample): string {
  return `<div class="edit"><p>${escapeHtml(sample.question)} → <b>${escapeHtml(sample.answer)}</b></p>${sample.rows.map(probeHtml).join("")}</div>`;
}

function probeHtml(row: SampleRow): string {
  const verdict = {
    true: `<span class="right">✓ ${verdictOf(row)}</span>`,
    false: `<span class="wrong">✗ ${verdictOf(row)}</span> <span class="who">wanted</span> ${escapeHtml(row.wanted)}`,
    null: `<span class="who">${verdictOf(row)}</span>`,
  }[`${row.right}`];
  return `<div class="probe"><div class="kind">${row.kind}</div><div class="said">${escapeHtml(row.question)}<div class="answers"><span><span class="who">base</span> ${quoted(row.base)}</span><span><span class="who">edited</span> ${quoted(row.edited)}</span><span>${verdict}</span></div></div></div>`;
}

function quoted(text: string | null): string {
  if (text === null) return "<i>(not known)</i>";
  return text === "" ? "<i>(nothing)</i>" : escapeHtml(text);
}
