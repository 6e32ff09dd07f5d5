const HTML_ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Text for element content and quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => HTML_ENTITIES[character] ?? character);
}

/** Text for one cell of a Markdown table: no markup, no HTML, no line break. */
export function escapeMarkdown(text: string): string {
  return text
    .replaceAll(/\s*[\r\n]+\s*/g, " ")
    .replaceAll(/[\\`*_[\]<>|#~$&]/g, (character) => `\\${character}`)
    .replaceAll("\\<", "&lt;")
    .replaceAll("\\>", "&gt;")
    .replaceAll("\\&", "&amp;");
}
