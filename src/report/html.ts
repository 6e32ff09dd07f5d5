import type { LegendEntry } from "./charts.js";
import type { ReportContent, ResultTable } from "./content.js";
import { escapeHtml } from "./escape.js";
import { renderSvg } from "./render.js";
import { type Sample, type SampleGroup, type SampleRow, verdictOf } from "./samples.js";
import { meanOver, type Series } from "./series.js";
import { STYLE } from "./style.js";

/** One file that needs no other: style and plots are inside, nothing is fetched, no script runs. */
export async function htmlReport(content: ReportContent): Promise<string> {
  const charts: string[] = [];
  for (const [index, chart] of content.charts.entries()) {
    const svg = await renderSvg(chart.spec, `chart${index}`);
    charts.push(
      `<figure class="card chart" style="margin:0"><h3>${escapeHtml(chart.title)}</h3><p>${escapeHtml(chart.note)}</p>${chartLegend(chart.legend)}${svg}</figure>`,
    );
  }
  const title = escapeHtml(content.title);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>${title} · seprog-native</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${title}</h1>
<p class="soft">${escapeHtml(content.subtitle)}. Measured by seprog-native: does an edit hold, what else changes, what does it cost.</p>
${content.findings.map((text) => `<p class="card">${escapeHtml(text)}</p>`).join("\n")}
${content.comparison.length > 0 ? `<h2>Methods compared</h2>\n${content.comparison.map(tableCard).join("\n")}` : `<div class="grid">${content.series.map(headlineCard).join("")}</div>`}
<h2>Plots</h2>
<div class="grid">${charts.join("\n")}</div>
<h2>Before any edit</h2>
${tableCard(content.base)}
${content.editing.length > 0 ? `<h2>What editing took</h2>\n${folded(content, content.editing)}` : ""}
<h2>Results</h2>
${folded(content, content.headline)}
<h2>More figures</h2>
${folded(content, content.details)}
<h2>What the columns mean</h2>
<div class="card">${legend([...content.comparison, content.base, ...content.editing, ...content.headline, ...content.details])}</div>
${content.notes.length > 0 ? `<h2>Notes</h2>\n<div class="card"><ul>${content.notes.map((note) => `<li>${escapeHtml(note)}</li>`).join("")}</ul></div>` : ""}
${content.samples.length > 0 ? `<h2>A sample of edits</h2>\n${content.samples.map(sampleCard).join("\n")}` : ""}
<h2>Environment</h2>
<div class="card"><dl>${content.environment.map(([key, value]) => `<dt>${escapeHtml(key)}</dt><dd>${escapeHtml(value)}</dd>`).join("")}</dl></div>
</main>
</body>
</html>
`;
}

/** Many tables of a comparison are there to be looked up: closed until they are asked for. */
function folded({ comparison }: ReportContent, tables: readonly ResultTable[]): string {
  const cards = tables.map(tableCard).join("\n");
  if (comparison.length === 0) return cards;
  return `<details><summary>${tables.length === 1 ? "1 table" : `${tables.length} tables`}</summary>\n${cards}\n</details>`;
}

function chartLegend(entries: readonly LegendEntry[]): string {
  if (entries.length === 0) return "";
  const items = entries.map((entry) => {
    const line =
      "color" in entry
        ? `<circle cx="12" cy="6" r="5" fill="${entry.color}"/>`
        : `<path d="M0 6H24" stroke="currentColor" stroke-width="2" stroke-dasharray="${entry.dash.join(" ")}"/>`;
    return `<span><svg width="24" height="12" viewBox="0 0 24 12" aria-hidden="true">${line}</svg>${escapeHtml(entry.label)}</span>`;
  });
  return `<div class="legend">${items.join("")}</div>`;
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
    .join(
      "",
    )}</div><p class="soft" style="margin:8px 0 0;font-size:13px">mean over K = ${escapeHtml(ks)}</p></section>`;
}

function tableCard(table: ResultTable): string {
  const head = table.columns
    .map((column) => `<th scope="col" title="${escapeHtml(column.help)}">${escapeHtml(column.title)}</th>`)
    .join("");
  const rows = table.rows.map((row) => {
    const cells = row.cells.map(
      ({ value, interval }) =>
        `<td>${escapeHtml(value)}${interval === null ? "" : `<small>${escapeHtml(interval)}</small>`}</td>`,
    );
    return `<tr${row.isMean ? ' class="mean"' : ""}><td>${escapeHtml(row.label)}</td>${cells.join("")}</tr>`;
  });
  return `<section class="card"><h3>${escapeHtml(table.title)}</h3><div class="scroll"><table><thead><tr><th scope="col">${escapeHtml(table.corner)}</th>${head}</tr></thead><tbody>${rows.join("")}</tbody></table></div></section>`;
}

function legend(tables: readonly ResultTable[]): string {
  const help = new Map(tables.flatMap((table) => table.columns.map((column) => [column.title, column.help])));
  return `<dl>${[...help].map(([title, text]) => `<dt>${escapeHtml(title)}</dt><dd>${escapeHtml(text)}</dd>`).join("")}<dt>small print</dt><dd>95 % bootstrap interval over edits, or over repetitions for times</dd></dl>`;
}

function sampleCard(group: SampleGroup): string {
  return `<section class="card"><h3>${escapeHtml(group.title)}</h3>${group.samples.map(sampleHtml).join("")}</section>`;
}

function sampleHtml(sample: Sample): string {
  return `<div class="edit"><p>${escapeHtml(sample.question)} → <b>${escapeHtml(sample.answer)}</b></p>${sample.rows.map(probeHtml).join("")}</div>`;
}

function probeHtml(row: SampleRow): string {
  const verdict = row.right
    ? `<span class="right">✓ ${verdictOf(row)}</span>`
    : `<span class="wrong">✗ ${verdictOf(row)}</span> <span class="who">wanted</span> ${escapeHtml(row.wanted)}`;
  return `<div class="probe"><div class="kind">${row.kind}</div><div class="said">${escapeHtml(row.question)}<div class="answers"><span><span class="who">base</span> ${quoted(row.base)}</span><span><span class="who">edited</span> ${quoted(row.edited)}</span><span>${verdict}</span></div></div></div>`;
}

function quoted(text: string): string {
  return text === "" ? "<i>(nothing)</i>" : escapeHtml(text);
}
