import { createHash } from "node:crypto";
import { escapeHtml } from "./escape.js";
import { SORT_SCRIPT } from "./sort_script.js";
import { STYLE } from "./style.js";

export interface Page {
  readonly title: string;
  /** Text, not markup. */
  readonly subtitle: string;
  /** Markup. */
  readonly lead: string;
  /** Markup under headings; sections without any are left out. */
  readonly sections: readonly { readonly heading: string; readonly html: string }[];
}

/** One file that needs no other: style, plots and the script that sorts tables are inside, nothing is fetched. */
export function htmlPage({ title, subtitle, lead, sections }: Page): string {
  const shown = sections
    .filter(({ html }) => html !== "")
    .map((section, index) => ({ ...section, id: `section-${index + 1}` }));
  const digest = createHash("sha256").update(SORT_SCRIPT).digest("base64");
  const policy = `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${digest}'; img-src data:`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title>${escapeHtml(title)} · seprog-native</title>
<style>${STYLE}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<main id="content" tabindex="-1">
<h1>${escapeHtml(title)}</h1>
<p class="soft">${escapeHtml(subtitle)}</p>
${lead}
<nav aria-label="Sections">${shown.map(({ id, heading }) => `<a href="#${id}">${escapeHtml(heading)}</a>`).join("")}</nav>
${shown.map(({ id, heading, html }) => `<h2 id="${id}">${escapeHtml(heading)}</h2>\n${html}`).join("\n")}
</main>
<script>${SORT_SCRIPT}</script>
</body>
</html>
`;
}
