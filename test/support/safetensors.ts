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

/** Elements of a float32 tensor, whatever its shape. */
export function readFloats(bytes: Buffer, name: string): number[] {
  const { start, end } = find(bytes, name, "F32");
  return Array.from({ length: (end - start) / 4 }, (_, i) => bytes.readFloatLE(start + 4 * i));
}

/** A tensor's shape, and where its elements stand. */
function find(bytes: Buffer, name: string, dtype: string) {
  const headerBytes = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString("utf8", 8, 8 + headerBytes)) as Record<string, Entry>;
  const entry = header[name];
  if (entry?.dtype !== dtype) throw new Error(`expected a tensor of ${dtype} for ${name}`);
  const [start, end] = entry.data_offsets.map((offset) => 8 + headerBytes + offset) as [number, number];
  return { shape: entry.shape, start, end };
}

function int64Table(bytes: Buffer, name: string): number[][] {
  const { shape, start, end } = find(bytes, name, "I64");
  const [columns = 1] = shape.slice(-1);
  const numbers = Array.from({ length: (end - start) / 8 }, (_, i) =>
    Number(bytes.readBigInt64LE(start + 8 * i)),
  );
  const rows = shape.length === 1 ? 1 : (shape[0] ?? 0);
  return Array.from({ length: rows }, (_, i) => numbers.slice(i * columns, (i + 1) * columns));
}
