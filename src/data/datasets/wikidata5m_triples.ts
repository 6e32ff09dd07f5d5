import type { Problems } from "../problems.js";
import { readLineBlocks } from "../read_lines.js";
import { type IdSet, readId } from "./wikidata5m_entities.js";

const [ENTITY, PROPERTY] = [0x51, 0x50];
const [TAB, NEWLINE, RETURN] = [0x09, 0x0a, 0x0d];

/**
 * Triples of the relations that are kept, as one number each: (subject · relations + relation) · entities + object, by
 * rank. Sorted, the objects of one subject and relation stand together.
 */
export class TripleStore {
  readonly #ids: IdSet;
  /** Property number → place in the list of relations. */
  readonly #placeOf: ReadonlyMap<number, number>;
  readonly #relationCount: number;
  #keys = new Float64Array(1 << 16);
  #count = 0;

  /** @param placeOf several properties may stand for one relation */
  constructor(ids: IdSet, placeOf: ReadonlyMap<number, number>) {
    this.#ids = ids;
    this.#placeOf = placeOf;
    this.#relationCount = Math.max(0, ...placeOf.values()) + 1;
  }

  /**
   * Adds a file of `Q…<tab>P…<tab>Q…` lines, streamed. Triples of unnamed entities are left out, as SLAG does.
   * @returns how many lines it has
   * @throws SeprogError DATA_INVALID if the file cannot be read
   */
  async read(path: string, problems: Problems): Promise<number> {
    let line = 0;
    for await (const { bytes, firstLine } of readLineBlocks(path)) {
      line = firstLine - 1;
      for (let from = 0; from < bytes.length; ) {
        line += 1;
        const newline = bytes.indexOf(NEWLINE, from);
        const next = newline === -1 ? bytes.length : newline;
        const to = bytes[next - 1] === RETURN ? next - 1 : next;
        if (to > from && !this.#add(bytes, from, to))
          problems.add(
            `${path}:${line}`,
            "expected an entity, a property and an entity with tabs between them (Q1 P2 Q3) but received another line",
          );
        from = next + 1;
      }
    }
    return line;
  }

  /** @returns false if the bytes are no triple */
  #add(bytes: Buffer, from: number, to: number): boolean {
    let first = from;
    while (first < to && bytes[first] !== TAB) first += 1;
    let second = first + 1;
    while (second < to && bytes[second] !== TAB) second += 1;
    const property = readId(bytes, PROPERTY, first + 1, second);
    if (property === -1) return false;
    const subject = readId(bytes, ENTITY, from, first);
    const object = readId(bytes, ENTITY, second + 1, to);
    if (subject === -1 || object === -1) return false;
    const place = this.#placeOf.get(property);
    if (place === undefined) return true;
    const [s, o] = [this.#ids.rank(subject), this.#ids.rank(object)];
    if (s === -1 || o === -1) return true;
    if (this.#count === this.#keys.length) {
      const grown = new Float64Array(2 * this.#keys.length);
      grown.set(this.#keys);
      this.#keys = grown;
    }
    this.#keys[this.#count] = (s * this.#relationCount + place) * this.#ids.size + o;
    this.#count += 1;
    return true;
  }

  /** Everything added so far, ordered and without repetition. */
  sorted(): SortedTriples {
    const keys = this.#keys.subarray(0, this.#count).sort();
    let kept = 0;
    for (const key of keys)
      if (kept === 0 || key !== keys[kept - 1]) {
        keys[kept] = key;
        kept += 1;
      }
    return new SortedTriples(keys.subarray(0, kept), this.#relationCount, this.#ids.size);
  }
}

/** One subject's triples, as a range of positions. */
export interface SubjectRange {
  readonly from: number;
  readonly to: number;
}

export class SortedTriples {
  readonly #keys: Float64Array;
  readonly #relationCount: number;
  readonly #entityCount: number;

  constructor(keys: Float64Array, relationCount: number, entityCount: number) {
    this.#keys = keys;
    this.#relationCount = relationCount;
    this.#entityCount = entityCount;
  }

  get count(): number {
    return this.#keys.length;
  }

  /** Rank of the subject of the triple at a position. */
  subjectAt(position: number): number {
    return Math.floor(this.#pairAt(position) / this.#relationCount);
  }

  objectAt(position: number): number {
    return (this.#keys[position] ?? 0) % this.#entityCount;
  }

  relationAt(position: number): number {
    return this.#pairAt(position) % this.#relationCount;
  }

  /** Positions at which the subjects with at least two relations begin. */
  subjectsOfTwoRelations(): Uint32Array {
    const starts = new Uint32Array(this.count);
    let found = 0;
    for (let from = 0; from < this.count; ) {
      const { to } = this.rangeFrom(from);
      if (this.relationAt(from) !== this.relationAt(to - 1)) {
        starts[found] = from;
        found += 1;
      }
      from = to;
    }
    return starts.slice(0, found);
  }

  /** The triples of the subject that begins at `from`. */
  rangeFrom(from: number): SubjectRange {
    const subject = this.subjectAt(from);
    let to = from + 1;
    while (to < this.count && this.subjectAt(to) === subject) to += 1;
    return { from, to };
  }

  #pairAt(position: number): number {
    return Math.floor((this.#keys[position] ?? 0) / this.#entityCount);
  }
}
