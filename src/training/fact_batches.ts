import { mixSeed, Rng } from "../data/random.js";
import type { PairRows } from "../native/addon.js";
import { packRows } from "../tokenizers/token_rows.js";
import type { TokenisedFact } from "./facts.js";
import { Breather } from "./pause.js";

interface Pair {
  readonly source: Int32Array;
  readonly target: Int32Array;
}

export interface FactBatchesOptions {
  readonly batchSize: number;
  /** Batches are cut from this many batches sorted by length, so that few pad positions are computed. */
  readonly bucketBatches: number;
  readonly seed: number;
}

/**
 * Batch number i of an endless pass over the facts, each pass in its own order and every fact once in one of its
 * wordings. A batch is a function of its number alone, so a run resumes exactly from its step.
 */
export class FactBatches {
  readonly #facts: readonly TokenisedFact[];
  readonly #options: FactBatchesOptions;
  #pass = -1;
  #order: number[] = [];
  #bucket = -1;
  #batches: PairRows[] = [];

  constructor(facts: readonly TokenisedFact[], options: FactBatchesOptions) {
    this.#facts = facts;
    this.#options = options;
  }

  async at(index: number): Promise<PairRows> {
    const { bucketBatches } = this.#options;
    const bucket = Math.floor(index / bucketBatches);
    if (bucket !== this.#bucket) await this.#fill(bucket);
    return this.#batches[index % bucketBatches] as PairRows;
  }

  async #fill(bucket: number): Promise<void> {
    const { batchSize, bucketBatches, seed } = this.#options;
    const breather = new Breather();
    const rng = Rng.fromSeed(mixSeed(seed, bucket, 1));
    const size = batchSize * bucketBatches;
    const pairs: Pair[] = [];
    for (let i = 0; i < size; i++) {
      pairs.push(this.#draw(bucket * size + i, rng));
      await breather.pause();
    }
    pairs.sort((a, b) => a.source.length - b.source.length || a.target.length - b.target.length);
    const batches: PairRows[] = [];
    for (let from = 0; from < size; from += batchSize) {
      batches.push(toRows(pairs.slice(from, from + batchSize)));
      await breather.pause();
    }
    this.#batches = rng.shuffle(batches);
    this.#bucket = bucket;
  }

  #draw(position: number, rng: Rng): Pair {
    const pass = Math.floor(position / this.#facts.length);
    if (pass !== this.#pass) {
      this.#order = Rng.fromSeed(mixSeed(this.#options.seed, pass, 2)).shuffle([...this.#facts.keys()]);
      this.#pass = pass;
    }
    const fact = this.#facts[this.#order[position % this.#facts.length] ?? 0] as TokenisedFact;
    return { source: rng.pick(fact.sources), target: fact.target };
  }
}

const toRows = (pairs: readonly Pair[]): PairRows => ({
  source: packRows(pairs.map(({ source }) => source)),
  target: packRows(pairs.map(({ target }) => target)),
});
