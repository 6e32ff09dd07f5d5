import { basename } from "node:path";
import { mergeGroups } from "../groups.js";
import { parseJsonArray } from "../json_array.js";
import { parseJsonLines } from "../json_lines.js";
import { Problems } from "../problems.js";
import type { EditRecord } from "../types.js";
import { UniqueIds } from "../unique_ids.js";
import {
  type DroppedClaim,
  fromKiltFever,
  fromMalmenFever,
  type KeyedClaim,
  kiltFeverSchema,
  malmenFeverSchema,
} from "./fever_formats.js";

export type FeverFormat = "kilt" | "malmen";

type IdentifiedClaim = KeyedClaim & { readonly id: string };

interface FileContent {
  readonly records: readonly IdentifiedClaim[];
  readonly dropped: ReadonlyMap<DroppedClaim, number>;
}

interface NumberedClaim {
  readonly number: number;
  /** Undefined where the format has none. */
  readonly id: string | undefined;
  readonly claim: KeyedClaim | DroppedClaim;
}

async function* numberedClaims(
  path: string,
  format: FeverFormat,
  problems: Problems,
): AsyncGenerator<NumberedClaim> {
  if (format === "kilt")
    for await (const { number, value } of parseJsonLines(path, kiltFeverSchema, problems))
      yield { number, id: value.id, claim: fromKiltFever(value) };
  else
    for await (const { number, value } of parseJsonArray(path, malmenFeverSchema, problems))
      yield { number, id: undefined, claim: fromMalmenFever(value) };
}

/**
 * One official FEVER file; ids are `<file name>-<id or row>`.
 * @throws SeprogError DATA_INVALID with `file:line` for every row that does not have the format and for repeated ids
 */
export async function readFeverFile(path: string, format: FeverFormat): Promise<FileContent> {
  const problems = new Problems();
  const ids = new UniqueIds(path, problems);
  const records: IdentifiedClaim[] = [];
  const dropped = new Map<DroppedClaim, number>();
  const stem = basename(path).replace(/\.jsonl?$/, "");
  let row = 0;
  for await (const { number, id = String(row), claim } of numberedClaims(path, format, problems)) {
    ids.add(id, number);
    if (typeof claim === "string") dropped.set(claim, (dropped.get(claim) ?? 0) + 1);
    else records.push({ ...claim, id: `${stem}-${id}` });
    row += 1;
  }
  problems.throwIfAny(path);
  return { records, dropped };
}

/** Gives every claim the group that its keys join it to. */
export function withClaimGroups(claims: readonly IdentifiedClaim[]): EditRecord[] {
  const groups = mergeGroups(claims.map(({ keys }) => keys));
  return claims.map(({ record, id }, i) => ({ id, group: groups[i] ?? id, ...record }));
}
