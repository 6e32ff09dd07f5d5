/** B ragged rows of token ids: `ids` is their concatenation, `lengths[b]` the number of ids of row b. */
export interface TokenRows {
  readonly ids: Int32Array;
  readonly lengths: Int32Array;
  /** Token types 0 and 1 of sentence pairs, one an id; absent: all 0. */
  readonly types?: Int32Array;
}

/** One row, with its token types if it is a sentence pair. */
export interface TokenRow {
  readonly ids: Int32Array;
  readonly types?: Int32Array;
}

export function concatenate(parts: readonly ArrayLike<number>[]): Int32Array {
  const values = new Int32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    values.set(part, at);
    at += part.length;
  }
  return values;
}

export function packRows(rows: readonly Int32Array[]): TokenRows {
  return { ids: concatenate(rows), lengths: Int32Array.from(rows, (row) => row.length) };
}

/** Rows without types get type 0 where others have them. */
export function packTypedRows(rows: readonly TokenRow[]): TokenRows {
  const packed = packRows(rows.map(({ ids }) => ids));
  if (rows.every(({ types }) => types === undefined)) return packed;
  return { ...packed, types: concatenate(rows.map(({ ids, types }) => types ?? new Int32Array(ids.length))) };
}

/** Views into `rows.ids`, one a row. */
export function unpackRows({ ids, lengths }: TokenRows): Int32Array[] {
  let at = 0;
  return Array.from(lengths, (length) => {
    at += length;
    return ids.subarray(at - length, at);
  });
}
