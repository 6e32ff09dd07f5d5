import { readFileSync } from "node:fs";

/** Rows of a CSV text (RFC 4180: quoted fields may hold commas, line ends and doubled quotes; CR is kept). */
function parseCsv(text) {
  const field = /(?:"([^"]*(?:""[^"]*)*)"|([^",\n]*))(,|\n|$)/y;
  const rows = [];
  let row = [];
  while (field.lastIndex < text.length) {
    const at = field.lastIndex;
    const match = field.exec(text);
    if (match === null) throw new Error(`no CSV field at character ${at}: ${text.slice(at, at + 80)}`);
    const [, quoted, plain, end] = match;
    row.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === ",") continue;
    rows.push(row);
    row = [];
  }
  return rows;
}

/** Rows of a CSV file as objects by its header line. */
export function readCsv(path) {
  const [header = [], ...rows] = parseCsv(readFileSync(path, "utf8"));
  return rows.map((row) => Object.fromEntries(header.map((name, i) => [name, row[i] ?? ""])));
}
