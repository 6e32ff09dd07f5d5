import type { Chart } from "./charts.js";
import { type Comparison, comparisonCsv, comparisonDocument } from "./comparison/comparison.js";
import { reportContent } from "./content.js";
import { chartsOf } from "./document.js";
import { documentHtml } from "./document_html.js";
import { documentMarkdown } from "./document_markdown.js";
import { figureSvg } from "./figure_svg.js";
import { htmlReport } from "./html.js";
import { markdownReport } from "./markdown.js";
import { profileHeadline } from "./profile/headline.js";
import { profileCsv } from "./profile/profile_csv.js";
import { profileDocument } from "./profile/profile_document.js";
import type { ProfileRun } from "./profile/profile_run.js";
import { runCsv } from "./run_csv.js";
import type { RunData } from "./run_data.js";
import { headlineSvg } from "./write.js";

/** A report in every format it can be had in. */
export interface ReportFormats {
  readonly markdown: () => string;
  readonly html: () => Promise<string>;
  readonly csv: () => string;
  readonly charts: readonly Chart[];
  /** One picture that stands for the whole; null where there is none. `ink` is the colour of text and axes. */
  readonly picture: (title: string | undefined, ink: string) => Promise<string | null>;
}

export async function runFormats(run: RunData): Promise<ReportFormats> {
  const content = await reportContent(run);
  return {
    markdown: () => markdownReport(content),
    html: () => htmlReport(content),
    csv: () => runCsv(run),
    charts: content.charts,
    picture: (title, ink) => headlineSvg(run, title ?? run.summary.suite, ink),
  };
}

export function profileFormats(run: ProfileRun): ReportFormats {
  const report = profileDocument(run);
  return {
    markdown: () => documentMarkdown(report),
    html: () => documentHtml(report),
    csv: () => profileCsv(run),
    charts: chartsOf(report),
    picture: async (title, ink) => {
      const chart = profileHeadline(run, title);
      return chart && figureSvg(chart, ink);
    },
  };
}

export function comparisonFormats(comparison: Comparison): ReportFormats {
  const report = comparisonDocument(comparison);
  return {
    markdown: () => documentMarkdown(report),
    html: () => documentHtml(report),
    csv: () => comparisonCsv(comparison),
    charts: [],
    picture: async () => null,
  };
}
