interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/** Rows of an int64 tensor of one or two dimensions, cut to where `maskName` is 1. */
export function readIdRows(bytes: Buffer, name: string, maskName?: string): number[][] {
  const table = int64Table(bytes, name);
  const mask = maskName === undefined ? null : int64Table(bytes, maskName);
  return table.map((row, i) => row.filter((_, at) => mask === null || mask[i]?.[at] === 1));
}

function int64Table(bytes: Buffer, name: string): number[][] {
  const headerBytes = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString("utf8", 8, 8 + headerBytes)) as Record<string, Entry>;
  const entry = header[name];
  if (entry?.dtype !== "I64") throw new Error(`expected int64 numbers for ${name}`);
  const [columns = 1] = entry.shape.slice(-1);
  const start = 8 + headerBytes + entry.data_offsets[0];
  const numbers = Array.from({ length: (entry.data_offsets[1] - entry.data_offsets[0]) / 8 }, (_, i) =>
    Number(bytes.readBigInt64LE(start + 8 * i)),
  );
  const rows = entry.shape.length === 1 ? 1 : (entry.shape[0] ?? 0);
  return Array.from({ length: rows }, (_, i) => numbers.slice(i * columns, (i + 1) * columns));
}
