import { join } from "node:path";
import { writeFileAtomically } from "../files.js";
import { bySchedule } from "./by_schedule.js";
import { headlineSpec } from "./charts.js";
import { reportContent } from "./content.js";
import { gridHeadlineSpec } from "./grid_charts.js";
import { htmlReport } from "./html.js";
import { markdownReport } from "./markdown.js";
import { renderSvg } from "./render.js";
import { RUN_FILES, type RunData } from "./run_data.js";
import { toSeries } from "./series.js";

/** Writes report.md and report.html into `folder`; resolves to their paths. */
export async function writeReports(
  run: RunData,
  folder: string,
): Promise<{ markdown: string; html: string }> {
  const content = await reportContent(run);
  const paths = { markdown: join(folder, RUN_FILES.markdown), html: join(folder, RUN_FILES.html) };
  await writeFileAtomically(paths.markdown, markdownReport(content));
  await writeFileAtomically(paths.html, await htmlReport(content));
  return paths;
}

/**
 * One picture of edit success and drawdown against K. `ink` is the colour of text and axes: a picture that stands
 * alone cannot take it from the page around it.
 */
export async function headlineSvg(run: RunData, title: string, ink: string): Promise<string> {
  const { cells } = bySchedule(run).summary;
  const isComparison = new Set(cells.map(({ method }) => method)).size > 1;
  const spec = isComparison ? gridHeadlineSpec(cells, title) : headlineSpec(toSeries(cells), title);
  const svg = await renderSvg(spec, "headline");
  return svg.replaceAll("currentColor", ink);
}
