import type { z } from "zod";
import { parseJsonArray } from "../json_array.js";
import { parseJsonLines } from "../json_lines.js";
import type { Problems } from "../problems.js";
import type { EditRecord } from "../types.js";

/** Whose data files. */
export const IMPORT_FORMATS = ["easyedit", "mend", "slag"] as const;
export type ImportFormat = (typeof IMPORT_FORMATS)[number];

/** A record before its id and its group are known: records that share a key become one group. */
export interface KeyedRecord {
  readonly record: Omit<EditRecord, "id" | "group">;
  readonly keys: readonly string[];
}

/** What a row of a file gives. */
export interface ImportedRow {
  /** A record, or why there is none. */
  readonly outcome: KeyedRecord | string;
  /** Parts of the row that the record is without, each with the reason. */
  readonly omitted: readonly string[];
}

/** Rows in the file's order, the same each time; bad ones go to `problems` and are left out. */
export type ReadRows = (problems: Problems) => AsyncGenerator<ImportedRow>;

/** One form of data files. */
export interface Layout {
  readonly format: ImportFormat;
  readonly title: string;
  /** One JSON array, or one JSON object a line. */
  readonly container: "array" | "lines";
  /** Keys, as `outer.inner`, that every row has: by them a file is recognised. */
  readonly keys: readonly string[];
  /** What else a row must be, where two forms have the same keys. */
  readonly isRow?: (row: object) => boolean;
  /**
   * Gets ready to read a file: where a row's labels come from the other rows, these are read first.
   * @throws SeprogError DATA_INVALID if the file cannot be read or, where it is read first, has rows of another form
   */
  open(path: string): Promise<ReadRows>;
}

interface RowLayout<Schema extends z.ZodType> extends Omit<Layout, "open"> {
  readonly schema: Schema;
  readonly toRow: (row: z.output<Schema>) => ImportedRow;
}

/** Rows of the file, checked. */
export const parseRows = <Schema extends z.ZodType>(
  container: Layout["container"],
  path: string,
  schema: Schema,
  problems: Problems,
): AsyncGenerator<{ readonly number: number; readonly value: z.output<Schema> }> =>
  container === "array" ? parseJsonArray(path, schema, problems) : parseJsonLines(path, schema, problems);

/** A form whose rows need nothing of one another. */
export const rowLayout = <Schema extends z.ZodType>({
  schema,
  toRow,
  ...layout
}: RowLayout<Schema>): Layout => ({
  ...layout,
  open: async (path) =>
    async function* (problems) {
      for await (const { value } of parseRows(layout.container, path, schema, problems)) yield toRow(value);
    },
});
