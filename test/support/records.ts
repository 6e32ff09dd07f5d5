import { COPY, type EditRecord } from "../../src/data/types.js";

/** A record with one of everything; `changes` replaces fields. */
export function makeRecord(id: string, changes: Partial<EditRecord> = {}): EditRecord {
  return {
    id,
    group: `group-${id}`,
    x_e: `question ${id}`,
    y_e_options: [`new ${id}`],
    in_scope: [1, 2, 3].map((n) => ({ x: `rephrase ${n} of ${id}`, y: COPY })),
    in_scope_noisy: [{ x: `noisy rephrase of ${id}`, y: COPY }],
    entailed: [],
    hard_out: [{ x: `neighbour of ${id}`, y_gold: [`gold of neighbour ${id}`], group: `neighbour-${id}` }],
    x_loc: `question ${id}`,
    y_loc: [`gold ${id}`],
    ...changes,
  };
}

export const makeRecords = (count: number, change: (i: number) => Partial<EditRecord> = () => ({})) =>
  Array.from({ length: count }, (_, i) => makeRecord(String(i), change(i)));
