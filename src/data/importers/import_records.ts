import { basename } from "node:path";
import { SeprogError } from "../../errors.js";
import { mergeGroups } from "../groups.js";
import { actsByConsequence } from "../labels.js";
import { Problems } from "../problems.js";
import type { EditRecord, Split } from "../types.js";
import { detectLayout } from "./detect.js";
import type { ImportedRow, ImportFormat, Layout } from "./layout.js";

export interface ImportOptions {
  /** Default: known by the first row. */
  readonly format?: ImportFormat | undefined;
  /** Of all records; default: none, so that whoever reads them splits by group. */
  readonly split?: Split | undefined;
}

/** What became of a file's rows. */
export interface ImportCounts {
  readonly rows: number;
  readonly records: number;
  /** Rows without a record, by the reason. */
  readonly leftOut: ReadonlyMap<string, number>;
  /** Parts of rows that their records are without, by what they are. */
  readonly omitted: ReadonlyMap<string, number>;
}

export interface Import {
  readonly layout: Layout;
  readonly counts: ImportCounts;
  /** Read from the file while they are taken. */
  records(): AsyncGenerator<EditRecord>;
}

const REPEATED = "the same edit as an earlier row";

const count = (counts: Map<string, number>, what: string): unknown =>
  counts.set(what, (counts.get(what) ?? 0) + 1);

/**
 * Reads the file twice: now, to check it and to join records that share a question or a subject to groups; then again
 * for the records. Held are keys, not rows. Ids are `<file name>-<row>`.
 * @throws SeprogError DATA_INVALID with `file:line` for every row that does not have the form, for a file of no known
 *   form and for one without a record; UNSUPPORTED
 */
export async function openImport(path: string, { format, split }: ImportOptions = {}): Promise<Import> {
  const layout = await detectLayout(path, format);
  const read = await layout.open(path);
  const problems = new Problems();
  const leftOut = new Map<string, number>();
  const omitted = new Map<string, number>();
  const seen = new Set<string>();
  /** Of each row: its place among the records, or none. */
  const placeOfRow: (number | undefined)[] = [];
  const keys: (readonly string[])[] = [];
  for await (const row of read(problems)) {
    const outcome = refuseRepeated(row.outcome, seen);
    if (typeof outcome === "string") {
      count(leftOut, outcome);
      placeOfRow.push(undefined);
      continue;
    }
    placeOfRow.push(keys.length);
    keys.push(outcome.keys);
    for (const what of row.omitted) count(omitted, what);
  }
  problems.throwIfAny(path);
  if (keys.length === 0)
    throw new SeprogError(
      "DATA_INVALID",
      `expected at least one record in ${path} but every row was left out: ${[...leftOut].map(([why, n]) => `${n} ${why}`).join(", ") || "there is none"}`,
    );
  const groups = mergeGroups(keys);
  const stem = basename(path).replace(/\.jsonl?$/, "");
  return {
    layout,
    counts: { rows: placeOfRow.length, records: keys.length, leftOut, omitted },
    async *records() {
      let row = 0;
      for await (const { outcome } of read(new Problems())) {
        const place = placeOfRow[row];
        if (place !== undefined && typeof outcome !== "string")
          yield {
            id: `${stem}-${row}`,
            group: groups[place] ?? `${stem}-${row}`,
            ...outcome.record,
            ...(split && { split }),
          };
        row += 1;
      }
    },
  };
}

/** An earlier record may ask the same question for the same answers, with nothing else that follows. */
function refuseRepeated(outcome: ImportedRow["outcome"], seen: Set<string>): ImportedRow["outcome"] {
  if (typeof outcome === "string") return outcome;
  const { x_e, y_e_options, entailed } = outcome.record;
  const key = JSON.stringify([x_e, y_e_options, actsByConsequence(outcome.record) ? entailed : []]);
  if (seen.has(key)) return REPEATED;
  seen.add(key);
  return outcome;
}
