import { basename } from "node:path";
import { mergeGroups } from "../groups.js";
import { parseJsonArray } from "../json_array.js";
import { parseJsonLines } from "../json_lines.js";
import { Problems } from "../problems.js";
import type { EditRecord } from "../types.js";
import { UniqueIds } from "../unique_ids.js";
import {
  type Dropped,
  fromKilt,
  fromKnowEdit,
  fromMend,
  type KeyedRecord,
  kiltSchema,
  knowEditSchema,
  mendSchema,
} from "./zsre_formats.js";

export type ZsreFormat = "kilt" | "mend" | "knowedit";

interface FileContent {
  readonly records: readonly (KeyedRecord & { readonly id: string })[];
  readonly dropped: ReadonlyMap<Dropped, number>;
}

/** The words with which SERAC leaves questions out. */
const GENDER_WORDS = /sex|gender/i;

export interface ZsreReadOptions {
  /** Leave out questions about sex or gender, as SERAC does; default false. */
  readonly dropGenderQuestions?: boolean;
}

async function* keyedRows(
  path: string,
  format: ZsreFormat,
  problems: Problems,
): AsyncGenerator<KeyedRecord | Dropped> {
  if (format === "kilt") {
    const ids = new UniqueIds(path, problems);
    for await (const { number, value } of parseJsonLines(path, kiltSchema, problems)) {
      ids.add(String(value.id), number);
      yield fromKilt(value);
    }
  } else if (format === "mend")
    for await (const { value } of parseJsonArray(path, mendSchema, problems)) yield fromMend(value);
  else
    for await (const { value } of parseJsonArray(path, knowEditSchema, problems)) yield fromKnowEdit(value);
}

/**
 * One official zsRE file; ids are `<file name>-<row>`.
 * @throws SeprogError DATA_INVALID with `file:line` for every row that does not have the format and for repeated ids
 */
export async function readZsreFile(
  path: string,
  format: ZsreFormat,
  { dropGenderQuestions = false }: ZsreReadOptions = {},
): Promise<FileContent> {
  const problems = new Problems();
  const records: (KeyedRecord & { id: string })[] = [];
  const dropped = new Map<Dropped, number>();
  const stem = basename(path).replace(/\.jsonl?$/, "");
  let row = 0;
  for await (const keyed of keyedRows(path, format, problems)) {
    if (typeof keyed === "string") dropped.set(keyed, (dropped.get(keyed) ?? 0) + 1);
    else if (!(dropGenderQuestions && GENDER_WORDS.test(keyed.record.x_e)))
      records.push({ ...keyed, id: `${stem}-${row}` });
    row += 1;
  }
  problems.throwIfAny(path);
  return { records, dropped };
}

/** Gives every record the group that its question and subject join it to. */
export function withGroups(records: readonly (KeyedRecord & { readonly id: string })[]): EditRecord[] {
  const groups = mergeGroups(records.map(({ keys }) => keys));
  return records.map(({ record, id }, i) => ({ id, group: groups[i] ?? id, ...record }));
}
