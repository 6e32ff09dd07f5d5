import { join } from "node:path";
import { writeFileAtomically } from "../files.js";
import { figureName, figureSvg } from "../report/figure_svg.js";
import type { ReportFormats } from "../report/formats.js";
import { UsageError } from "./usage_error.js";

/** Where else a report goes. */
export interface ReportFiles {
  readonly md?: string | undefined;
  readonly html?: string | undefined;
  readonly csv?: string | undefined;
  readonly svg?: string | undefined;
  readonly figures?: string | undefined;
  readonly title?: string | undefined;
  readonly ink: string;
}

/** Writes what was asked for, each file by rename. Throws UsageError for a picture of what has none. */
export async function writeFormats(report: ReportFormats, files: ReportFiles): Promise<void> {
  const write = async (path: string | undefined, text: () => string | Promise<string>): Promise<void> => {
    if (path === undefined) return;
    await writeFileAtomically(path, await text());
    process.stdout.write(`Wrote ${path}\n`);
  };
  await write(files.md, report.markdown);
  await write(files.html, report.html);
  await write(files.csv, report.csv);
  await write(files.svg, async () => {
    const picture = await report.picture(files.title, files.ink);
    if (picture === null) throw new UsageError("a comparison of two runs has no picture: leave out --svg");
    return picture;
  });
  if (files.figures !== undefined) {
    // Numbered, as plots of two data sets may share a title.
    for (const [index, chart] of report.charts.entries()) {
      const name = `${String(index + 1).padStart(2, "0")}-${figureName(chart.title)}.svg`;
      await write(join(files.figures, name), () => figureSvg(chart, files.ink));
    }
  }
}
