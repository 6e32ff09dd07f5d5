import type { Chart, LegendEntry } from "./charts.js";
import { escapeHtml } from "./escape.js";
import { renderSvg } from "./render.js";

const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
const LINE = 20;
const MARGIN = 8;
/** Of 12 px text, generous: a legend may stand loose but not overlap. */
const CHARACTER_WIDTH = 7;

/** A plot as a picture of its own: with its title and its legend, which a page would draw. */
export async function figureSvg(chart: Chart, ink: string): Promise<string> {
  const plot = await renderSvg(chart.spec, "figure");
  const [, width = "400", height = "300"] = /width="([\d.]+)" height="([\d.]+)"/.exec(plot) ?? [];
  const titleWidth = 2 * MARGIN + chart.title.length * (CHARACTER_WIDTH + 1);
  const wide = Math.ceil(Math.max(Number(width), titleWidth));
  const { marks, lines } = legendMarks(chart.legend, wide);
  const top = 2 * MARGIN + LINE + lines * LINE;
  const high = Math.ceil(top + Number(height));
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${wide}" height="${high}" viewBox="0 0 ${wide} ${high}" role="img" font-family="${FONT}"><title>${escapeHtml(chart.title)}</title><desc>${escapeHtml(chart.note)}</desc><text x="${MARGIN}" y="${MARGIN + 14}" font-size="14" font-weight="600" fill="currentColor">${escapeHtml(chart.title)}</text>${marks}<svg y="${top}" ${plot.slice("<svg ".length)}</svg>\n`.replaceAll(
    "currentColor",
    ink,
  );
}

/** Entries from left to right, a new line where one would stand out of the picture. */
function legendMarks(entries: readonly LegendEntry[], width: number): { marks: string; lines: number } {
  let x = MARGIN;
  let line = entries.length > 0 ? 1 : 0;
  const marks = entries.map((entry) => {
    const needed = 34 + entry.label.length * CHARACTER_WIDTH;
    if (x > MARGIN && x + needed > width) {
      x = MARGIN;
      line += 1;
    }
    const y = MARGIN + line * LINE + 12;
    const mark =
      "color" in entry
        ? `<circle cx="${x + 6}" cy="${y}" r="5" fill="${entry.color}"/>`
        : `<path d="M${x} ${y}h16" stroke="currentColor" stroke-width="2" stroke-dasharray="${entry.dash.join(" ")}"/>`;
    const text = `<text x="${x + 20}" y="${y + 4}" font-size="12" fill="currentColor">${escapeHtml(entry.label)}</text>`;
    x += needed;
    return mark + text;
  });
  return { marks: marks.join(""), lines: line };
}

/** `Memory over time: seprog, K = 64` → `memory-over-time-seprog-k-64`. */
export const figureName = (title: string): string =>
  title
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}]+/gu, "-")
    .replaceAll(/^-|-$/g, "");
