import { z } from "zod";
import { SeprogError } from "../../errors.js";
import { Problems } from "../problems.js";
import { openChunks } from "../read_lines.js";
import { EASYEDIT_LAYOUTS } from "./easyedit.js";
import { type ImportFormat, type Layout, parseRows } from "./layout.js";
import { MEND_LAYOUTS } from "./mend.js";
import { SLAG_LAYOUTS } from "./slag.js";

/** The forms that can be read. A new one is a line in its group's list. */
export const LAYOUTS: readonly Layout[] = [...EASYEDIT_LAYOUTS, ...MEND_LAYOUTS, ...SLAG_LAYOUTS];

/** Passages and their continuations: where the edit begins is a matter of a tokenizer. */
const MEND_WIKIPEDIA = /^\s*\{\s*"(original|completions|n_tokens)"/;

/** The beginning of a file, as far as the first piece of it goes. */
async function beginning(path: string): Promise<string> {
  for await (const chunk of openChunks(path)) return chunk.toString("utf8").replace(/^\uFEFF/, "");
  return "";
}

async function firstRow(path: string, container: Layout["container"]): Promise<object | undefined> {
  const problems = new Problems();
  for await (const { value } of parseRows(container, path, z.looseObject({}), problems)) return value;
  problems.throwIfAny(path);
  return undefined;
}

/** Whether the row has a key, as `outer.inner`. */
function has(row: unknown, key: string): boolean {
  const [name = "", ...inner] = key.split(".");
  if (typeof row !== "object" || row === null || !Object.hasOwn(row, name)) return false;
  return inner.length === 0 || has(Object.entries(row).find(([own]) => own === name)?.[1], inner.join("."));
}

/**
 * The form of a file, by its first row.
 * @param format only forms of this group; default: any
 * @throws SeprogError DATA_INVALID for an unreadable or empty file and one of no known form, which lists what is known;
 *   UNSUPPORTED for MEND's Wikipedia passages
 */
export async function detectLayout(path: string, format?: ImportFormat): Promise<Layout> {
  const start = await beginning(path);
  if (start.trim() === "")
    throw new SeprogError("DATA_INVALID", `expected rows in ${path} but received an empty file`);
  if (MEND_WIKIPEDIA.test(start))
    throw new SeprogError(
      "UNSUPPORTED",
      `expected questions or claims in ${path} but received MEND's Wikipedia passages, whose edits begin at a token; use wikipedia:FOLDER as the data set (docs/data.md)`,
    );
  const container = start.trimStart().startsWith("[") ? "array" : "lines";
  const row = await firstRow(path, container);
  if (row === undefined) throw new SeprogError("DATA_INVALID", `expected rows in ${path} but received none`);
  const layouts = LAYOUTS.filter((layout) => format === undefined || layout.format === format);
  const found = layouts.find(
    ({ container: own, keys, isRow }) =>
      own === container && keys.every((key) => has(row, key)) && (isRow === undefined || isRow(row)),
  );
  if (found !== undefined) return found;
  throw new SeprogError(
    "DATA_INVALID",
    [
      `expected in ${path} rows of one of these forms:`,
      ...layouts.map(
        ({ format: group, title, container: own, keys }) =>
          `  ${group}: ${title}, ${own === "array" ? "one JSON array" : "one JSON object a line"} with ${keys.join(", ")}`,
      ),
      `but received ${container === "array" ? "a JSON array" : "lines"} with ${Object.keys(row).join(", ") || "no keys"}`,
    ].join("\n"),
  );
}
