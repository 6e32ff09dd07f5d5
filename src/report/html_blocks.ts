import type { Chart, LegendEntry } from "./charts.js";
import type { ResultCell, ResultTable } from "./content.js";
import { columnHelp } from "./document.js";
import { escapeHtml } from "./escape.js";
import { renderSvg } from "./render.js";

/** Text longer than this wraps inside its cell; names of rows stay in sight while a table scrolls, and wrap sooner. */
const LONGEST_ON_ONE_LINE = 34;
const LONGEST_NAME = 20;

/** A table that scrolls inside itself, by keyboard too; rows of means stay at its foot however it is sorted. */
export function tableCard(table: ResultTable): string {
  const head = table.columns
    .map((column) => `<th scope="col" title="${escapeHtml(column.help)}">${escapeHtml(column.title)}</th>`)
    .join("");
  const rowsOf = (isMean: boolean): string =>
    table.rows
      .filter((row) => row.isMean === isMean)
      .map(
        (row) =>
          `<tr><th scope="row"${proseClass(row.label, LONGEST_NAME)}>${escapeHtml(row.label)}</th>${row.cells.map(cellHtml).join("")}</tr>`,
      )
      .join("");
  const means = rowsOf(true);
  const isSortable = table.rows.filter((row) => !row.isMean).length > 1;
  const title = escapeHtml(table.title);
  return `<section class="card"><h3>${headingHtml(table.title)}</h3><div class="scroll" role="region" tabindex="0" aria-label="${title}"><table${isSortable ? ' class="sortable"' : ""}><thead><tr><th scope="col">${escapeHtml(table.corner)}</th>${head}</tr></thead><tbody>${rowsOf(false)}</tbody>${means === "" ? "" : `<tfoot>${means}</tfoot>`}</table></div></section>`;
}

/** `K = 64` stays on one line. */
const headingHtml = (text: string): string => escapeHtml(text).replaceAll(" = ", "&nbsp;=&nbsp;");

function cellHtml({ value, interval, order }: ResultCell): string {
  const key = order === undefined ? "" : ` data-order="${order}"`;
  return `<td${key}${proseClass(value, LONGEST_ON_ONE_LINE)}>${escapeHtml(value)}${interval === null ? "" : `<small>${escapeHtml(interval)}</small>`}</td>`;
}

const proseClass = (text: string, longest: number): string => (text.length > longest ? ' class="prose"' : "");

/** @param id tells the plots of one page apart */
export async function chartFigure(chart: Chart, id: string): Promise<string> {
  const svg = await renderSvg(chart.spec, id);
  const label = escapeHtml(`${chart.title}. ${chart.note}`);
  return `<figure class="card chart"><h3>${headingHtml(chart.title)}</h3><p>${escapeHtml(chart.note)}</p>${chartLegend(chart.legend)}${svg.replace("<svg ", `<svg role="img" aria-label="${label}" `)}</figure>`;
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

/** What the columns of the tables mean. */
export const columnLegend = (tables: readonly ResultTable[]): string =>
  factList([
    ...columnHelp(tables),
    [
      "small print",
      "95 % interval: bootstrap over edits, or over repetitions for times; Student's over rounds or seeds where there are several",
    ],
  ]);

export const factList = (facts: readonly (readonly [string, string])[]): string =>
  `<dl>${facts.map(([name, text]) => `<dt>${escapeHtml(name)}</dt><dd>${escapeHtml(text)}</dd>`).join("")}</dl>`;

export const itemList = (items: readonly string[]): string =>
  `<ul>${items.map((item) => `<li>${escapeHtml(item)}</li>`).join("")}</ul>`;

export const folded = (title: string, html: string): string =>
  `<details><summary>${escapeHtml(title)}</summary>\n${html}\n</details>`;
