import { basename } from "node:path";
import { SeprogError } from "../../errors.js";
import { mergeGroups } from "../groups.js";
import { parseJsonLines } from "../json_lines.js";
import { Problems } from "../problems.js";
import { completeRecord, type FileRecord, recordSchema } from "../schema.js";
import { toDataset } from "../splits.js";
import { groupKey } from "../text.js";
import type { Dataset, EditRecord, Split } from "../types.js";

export interface JsonlOptions {
  /** Split of the records that name none; without it they are split by group. */
  readonly split?: Split;
}

/**
 * A user's own edits, in the file's order: one common record a line. Records that share a group or an edit input are one
 * group.
 * @throws SeprogError DATA_INVALID with `file:line` for every bad line, for repeated ids and for a file without records
 */
export async function readRecords(path: string): Promise<EditRecord[]> {
  const problems = new Problems();
  const rows: { id: string; line: number; row: FileRecord }[] = [];
  const lineOfId = new Map<string, number>();
  for await (const { number, value } of parseJsonLines(path, recordSchema, problems)) {
    const id = value.id ?? `line-${number}`;
    const earlier = lineOfId.get(id);
    if (earlier === undefined) lineOfId.set(id, number);
    else
      problems.add(`${path}:${number}`, `\`id\`: expected a new id but "${id}" is also at line ${earlier}`);
    rows.push({ id, line: number, row: value });
  }
  problems.throwIfAny(path);
  if (rows.length === 0)
    throw new SeprogError("DATA_INVALID", `expected at least one record in ${path} but received none`);
  const groups = mergeGroups(
    rows.map(({ row }) => [...(row.group === undefined ? [] : [row.group]), groupKey(row.x_e)]),
  );
  return rows.map(({ id, row }, i) => completeRecord(row, id, groups[i] ?? id));
}

/** The records of `readRecords` by split. @throws as it does */
export async function loadJsonl(path: string, { split }: JsonlOptions = {}): Promise<Dataset> {
  const records = await readRecords(path);
  return toDataset(
    basename(path).replace(/\.jsonl$/, ""),
    records.map((record) => ({ split, ...record })),
  );
}
