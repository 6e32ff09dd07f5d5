/**
 * The only script of a report: headers of tables become buttons that sort by their column, rising, falling, as it was.
 * Without it the report says the same.
 */
export const SORT_SCRIPT = `
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const original = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const keyOf = (row, column) => {
    const cell = row.cells[column];
    if ("order" in cell.dataset) return Number(cell.dataset.order);
    const text = (cell.firstChild?.textContent ?? "").trim();
    const number = Number(text.replace("\\u2212", "-").replace(/^< /, ""));
    return text === "" || text === "\\u2013" ? null : Number.isFinite(number) ? number : text;
  };
  const rank = (key) => (key === null ? 2 : typeof key === "string" ? 1 : 0);
  const compare = (a, b) =>
    rank(a) - rank(b) || (typeof a === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true }));
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const order = { none: "ascending", ascending: "descending", descending: "none" }[head.getAttribute("aria-sort")];
      for (const other of heads) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", order);
      const sign = order === "descending" ? -1 : 1;
      const rows = order === "none" ? original : original.map((row) => ({ row, key: keyOf(row, column) }))
        .sort((a, b) => (rank(a.key) === 2 || rank(b.key) === 2 ? 1 : sign) * compare(a.key, b.key))
        .map(({ row }) => row);
      body.append(...rows);
    });
  });
}
`;
