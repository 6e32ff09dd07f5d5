/**
 * SentencePiece's precompiled character map: the normaliser of T5 and others, stored in `tokenizer.json` as base64.
 * Layout: byte length of a double-array trie (uint32), its units (uint32, little endian), then NUL-terminated UTF-8
 * replacements; a leaf of the trie holds the offset of its replacement.
 */

const HAS_LEAF = 1 << 8;
const LABEL_MASK = 0x800000ff;
const VALUE_MASK = 0x7fffffff;
/** Longer graphemes are mapped character by character. */
const MAX_GRAPHEME_BYTES = 5;
const PRINTABLE_ASCII = /^[ -~]*$/;

const offsetOf = (unit: number): number => (unit >>> 10) << ((unit & (1 << 9)) >>> 6);

export class PrecompiledCharsmap {
  readonly #units: Uint32Array;
  readonly #replacements: Buffer;
  readonly #keepsAscii: boolean;
  readonly #graphemes = new Intl.Segmenter("und", { granularity: "grapheme" });

  /** @throws RangeError if the map is cut short */
  constructor(base64: string) {
    const bytes = Buffer.from(base64, "base64");
    const trieBytes = bytes.readUInt32LE(0);
    if (trieBytes % 4 !== 0 || 4 + trieBytes > bytes.length)
      throw new RangeError(`a character map of ${bytes.length} bytes whose trie has ${trieBytes}`);
    this.#units = Uint32Array.from({ length: trieBytes / 4 }, (_, i) => bytes.readUInt32LE(4 + 4 * i));
    this.#replacements = bytes.subarray(4 + trieBytes);
    const ascii = String.fromCharCode(...Array.from({ length: 0x7f - 0x20 }, (_, i) => 0x20 + i));
    this.#keepsAscii = [...ascii].every((character) => this.#lookUp(character) === undefined);
  }

  normalize(text: string): string {
    if (this.#keepsAscii && PRINTABLE_ASCII.test(text)) return text;
    let result = "";
    for (const { segment } of this.#graphemes.segment(text)) {
      const whole = Buffer.byteLength(segment) <= MAX_GRAPHEME_BYTES ? this.#lookUp(segment) : undefined;
      if (whole !== undefined) result += whole;
      else for (const character of segment) result += this.#lookUp(character) ?? character;
    }
    return result;
  }

  /** Replacement of the shortest prefix that the trie knows, as SentencePiece's port in `tokenizers` takes it. */
  #lookUp(chunk: string): string | undefined {
    let node = offsetOf(this.#units[0] ?? 0);
    for (const byte of Buffer.from(chunk, "utf8")) {
      if (byte === 0) return undefined;
      node ^= byte;
      const unit = this.#units[node] ?? 0;
      if ((unit & LABEL_MASK) >>> 0 !== byte) return undefined;
      node ^= offsetOf(unit);
      if ((unit & HAS_LEAF) !== 0) return this.#replacementAt((this.#units[node] ?? 0) & VALUE_MASK);
    }
    return undefined;
  }

  #replacementAt(offset: number): string {
    const end = this.#replacements.indexOf(0, offset);
    return this.#replacements.toString("utf8", offset, end === -1 ? undefined : end);
  }
}
