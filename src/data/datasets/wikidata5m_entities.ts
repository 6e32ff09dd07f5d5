import { isUtf8 } from "node:buffer";
import type { Problems } from "../problems.js";
import { type LineBlock, linesOf, readLineBlocks } from "../read_lines.js";
import { cleanText } from "../text.js";

const TAB = 0x09;
const ZERO = 0x30;
const WORD_BITS = 32;

/** The number at `from` in the bytes of an id such as `Q42`, or -1 if there is none. Ids have at most 9 digits. */
export function readId(bytes: Uint8Array, letter: number, from: number, to: number): number {
  if (bytes[from] !== letter || to - from < 2 || to - from > 10) return -1;
  let value = 0;
  for (let at = from + 1; at < to; at++) {
    const digit = (bytes[at] ?? 0) - ZERO;
    if (digit < 0 || digit > 9) return -1;
    value = 10 * value + digit;
  }
  return value;
}

/**
 * Which ids there are, and the place of each among them: one bit an id and 4 bytes for every 32, so that millions of
 * entities take a few MiB where a map of strings would take GiB.
 */
export class IdSet {
  #words = new Uint32Array(1024);
  #ranks: Uint32Array | undefined;
  #size = 0;

  /** @returns whether the id is new */
  add(id: number): boolean {
    const word = Math.floor(id / WORD_BITS);
    if (word >= this.#words.length) {
      const grown = new Uint32Array(Math.max(2 * this.#words.length, word + 1));
      grown.set(this.#words);
      this.#words = grown;
    }
    const bit = 1 << (id % WORD_BITS);
    if (((this.#words[word] ?? 0) & bit) !== 0) return false;
    this.#words[word] = (this.#words[word] ?? 0) | bit;
    this.#size += 1;
    this.#ranks = undefined;
    return true;
  }

  get size(): number {
    return this.#size;
  }

  /** How many smaller ids there are, or -1 if the id is not in the set. */
  rank(id: number): number {
    const word = Math.floor(id / WORD_BITS);
    const bits = this.#words[word] ?? 0;
    const bit = 1 << (id % WORD_BITS);
    if ((bits & bit) === 0) return -1;
    this.#ranks ??= this.#countRanks();
    return (this.#ranks[word] ?? 0) + countBits(bits & (bit - 1));
  }

  #countRanks(): Uint32Array {
    const ranks = new Uint32Array(this.#words.length);
    let sum = 0;
    for (const [i, word] of this.#words.entries()) {
      ranks[i] = sum;
      sum += countBits(word);
    }
    return ranks;
  }
}

function countBits(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

const idEnd = (bytes: Buffer): number => {
  const tab = bytes.indexOf(TAB);
  return tab === -1 ? bytes.length : tab;
};

/** Names behind the id, canonical first. */
const namesOf = (bytes: Buffer): string[] => [
  ...new Set(
    bytes
      .toString("utf8", idEnd(bytes) + 1)
      .split("\t")
      .map(cleanText)
      .filter((name) => name !== ""),
  ),
];

/** Whether names follow the id; the first byte tells it nearly always. */
function isNamed(bytes: Buffer, end: number): boolean {
  for (let at = end + 1; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    if (byte >= 0x80) return namesOf(bytes).length > 0;
    if (byte > 0x20) return true;
  }
  return false;
}

const ENTITY = 0x51;

/** Bytes that are no UTF-8 are looked for in a whole block at once, and for the line only if there are any. */
function checkEncoding(path: string, block: LineBlock, problems: Problems): void {
  if (isUtf8(block.bytes)) return;
  for (const { number, bytes } of linesOf(block))
    if (!isUtf8(bytes)) problems.add(`${path}:${number}`, "expected UTF-8 text but received other bytes");
}

/**
 * Ids of the entities that have a name, from `wikidata5m_entity.txt` (id, tab-separated names). Streamed; nothing but the
 * ids is kept. Entities without a name are left out, as SLAG does.
 * @throws SeprogError DATA_INVALID if the file cannot be read
 */
export async function readEntityIds(path: string, problems: Problems): Promise<IdSet> {
  const ids = new IdSet();
  for await (const block of readLineBlocks(path)) {
    checkEncoding(path, block, problems);
    for (const { number, bytes } of linesOf(block)) {
      if (bytes.length === 0) continue;
      const end = idEnd(bytes);
      const id = readId(bytes, ENTITY, 0, end);
      if (id === -1)
        problems.add(
          `${path}:${number}`,
          "expected an id such as Q42, a tab and names but received another line",
        );
      else if (isNamed(bytes, end) && !ids.add(id))
        problems.add(`${path}:${number}`, `expected a new id but Q${id} is also above`);
    }
  }
  return ids;
}

/** Names of the wanted entities, by their rank; the file is streamed a second time. */
export async function readEntityNames(
  path: string,
  ids: IdSet,
  isWanted: (rank: number) => boolean,
): Promise<Map<number, readonly string[]>> {
  const names = new Map<number, readonly string[]>();
  for await (const block of readLineBlocks(path))
    for (const { bytes } of linesOf(block)) {
      const rank = ids.rank(readId(bytes, ENTITY, 0, idEnd(bytes)));
      if (rank !== -1 && isWanted(rank)) names.set(rank, namesOf(bytes));
    }
  return names;
}
