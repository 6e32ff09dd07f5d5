import { join } from "node:path";
import { writeFileAtomically } from "../../files.js";
import { documentHtml } from "../document_html.js";
import { documentMarkdown } from "../document_markdown.js";
import { profileCsv } from "./profile_csv.js";
import { profileDocument } from "./profile_document.js";
import { PROFILE_FILES, type ProfileRun } from "./profile_run.js";

/** Writes report.md, report.html and report.csv into `folder`; resolves to their paths. */
export async function writeProfileReports(
  run: ProfileRun,
  folder: string,
): Promise<{ markdown: string; html: string; csv: string }> {
  const report = profileDocument(run);
  const paths = {
    markdown: join(folder, PROFILE_FILES.markdown),
    html: join(folder, PROFILE_FILES.html),
    csv: join(folder, PROFILE_FILES.csv),
  };
  await writeFileAtomically(paths.markdown, documentMarkdown(report));
  await writeFileAtomically(paths.csv, profileCsv(run));
  await writeFileAtomically(paths.html, await documentHtml(report));
  return paths;
}
