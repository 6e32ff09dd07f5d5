/** B ragged rows of token ids: `ids` is their concatenation, `lengths[b]` the number of ids of row b. */
export interface TokenRows {
  readonly ids: Int32Array;
  readonly lengths: Int32Array;
}

export function packRows(rows: readonly Int32Array[]): TokenRows {
  const lengths = Int32Array.from(rows, (row) => row.length);
  const ids = new Int32Array(lengths.reduce((sum, length) => sum + length, 0));
  let at = 0;
  for (const row of rows) {
    ids.set(row, at);
    at += row.length;
  }
  return { ids, lengths };
}

/** Views into `rows.ids`, one a row. */
export function unpackRows({ ids, lengths }: TokenRows): Int32Array[] {
  let at = 0;
  return Array.from(lengths, (length) => {
    at += length;
    return ids.subarray(at - length, at);
  });
}
