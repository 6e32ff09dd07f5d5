import { cp, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** A folder of the repository's tokenizer fixtures. */
export const tokenizerFixture = (name: string): string =>
  fileURLToPath(new URL(`../fixtures/golden/tokenizers/${name}`, import.meta.url));

/** A new folder below the system's temporary one with copies of a fixture's files and others of the given content. */
export async function tokenizerFolder(
  fixture: string,
  names: readonly string[],
  others: Readonly<Record<string, string | Uint8Array>> = {},
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "seprog-tokenizer-"));
  for (const name of names) await cp(join(tokenizerFixture(fixture), name), join(folder, name));
  for (const [name, content] of Object.entries(others)) await writeFile(join(folder, name), content);
  return folder;
}

function varint(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return [...bytes, Number(rest)];
}

/** One field of a protocol buffer: a number as varint, bytes and text with their length in front. */
export function protoField(number: number, value: number | bigint | string | Uint8Array): Uint8Array {
  if (typeof value === "number" || typeof value === "bigint")
    return Uint8Array.from([...varint(BigInt(number) << 3n), ...varint(BigInt(value))]);
  const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
  return Uint8Array.from([...varint((BigInt(number) << 3n) | 2n), ...varint(BigInt(bytes.length)), ...bytes]);
}

export function protoFloat(number: number, value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return Uint8Array.from([...varint((BigInt(number) << 3n) | 5n), ...bytes]);
}

export const joined = (...parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(Buffer.concat(parts));
