import { SeprogError } from "../errors.js";
import { Rng } from "./random.js";
import type { EditRecord } from "./types.js";

/** Plain data: restoring it continues the stream exactly. */
export interface RecordStreamState {
  readonly rng: string;
  /** Generator state from which the current permutation was drawn. */
  readonly orderRng: string;
  readonly cursor: number;
  /** Records put off because one of their group was taken already. */
  readonly pending: readonly number[];
}

/**
 * Permutation sampler: every record once per pass, no two records of one group in one draw. A record whose group is
 * taken waits for the next draw; a draw may reach over the end of a pass.
 */
export class RecordStream {
  readonly #records: readonly EditRecord[];
  readonly #groupCount: number;
  readonly rng: Rng;
  #orderRng = "";
  #order: number[] = [];
  #cursor = 0;
  #pending: number[] = [];

  constructor(records: readonly EditRecord[], rng: Rng) {
    this.#records = records;
    this.#groupCount = new Set(records.map(({ group }) => group)).size;
    this.rng = rng;
    this.#reshuffle();
  }

  static restore(records: readonly EditRecord[], state: RecordStreamState): RecordStream {
    const stream = new RecordStream(records, Rng.fromState(state.orderRng));
    const indices = [state.cursor - 1, ...state.pending];
    if (indices.some((i) => i >= records.length))
      throw new SeprogError(
        "DATA_INVALID",
        `expected a sampler state for ${records.length} records but it speaks of more; resume with the data it was saved with`,
      );
    stream.#cursor = state.cursor;
    stream.#pending = [...state.pending];
    stream.rng.setState(state.rng);
    return stream;
  }

  state(): RecordStreamState {
    return {
      rng: this.rng.state(),
      orderRng: this.#orderRng,
      cursor: this.#cursor,
      pending: [...this.#pending],
    };
  }

  /** @throws SeprogError DATA_INVALID if there are fewer than `count` groups */
  take(count: number): EditRecord[] {
    if (count > this.#groupCount)
      throw new SeprogError(
        "DATA_INVALID",
        `expected at least ${count} records of different groups for \`K\` = ${count} but received ${this.#groupCount}; ` +
          "choose a smaller K or more data",
      );
    const taken: number[] = [];
    const groups = new Set<string>();
    const waiting = new Set<number>();
    const offer = (index: number): void => {
      const group = this.#at(index).group;
      if (taken.length === count || groups.has(group)) waiting.add(index);
      else {
        groups.add(group);
        taken.push(index);
      }
    };
    for (const index of this.#pending) offer(index);
    while (taken.length < count) offer(this.#nextIndex());
    this.#pending = [...waiting];
    return taken.map((index) => this.#at(index));
  }

  #nextIndex(): number {
    if (this.#cursor === this.#order.length) this.#reshuffle();
    const index = this.#order[this.#cursor] ?? 0;
    this.#cursor += 1;
    return index;
  }

  #at(index: number): EditRecord {
    const record = this.#records[index];
    if (record === undefined)
      throw new SeprogError("INTERNAL", `expected a record at ${index} of ${this.#records.length}`);
    return record;
  }

  #reshuffle(): void {
    this.#orderRng = this.rng.state();
    this.#order = this.rng.shuffle(Array.from(this.#records, (_, i) => i));
    this.#cursor = 0;
  }
}
