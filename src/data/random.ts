import { SeprogError } from "../errors.js";

const STATE_FORM = /^[0-9a-f]{32}$/;

/**
 * Seeded generator for all sampling outside the engine: xoshiro128++ (Blackman and Vigna), state filled by splitmix32.
 * Its state is a string, so that a sampler resumes exactly.
 */
export class Rng {
  readonly #s: Uint32Array;

  private constructor(state: Uint32Array) {
    this.#s = state;
  }

  static fromSeed(seed: number): Rng {
    let z = seed >>> 0;
    const state = new Uint32Array(4);
    for (let i = 0; i < 4; i++) {
      z = (z + 0x9e3779b9) >>> 0;
      let t = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
      t = Math.imul(t ^ (t >>> 15), 0x735a2d97);
      state[i] = t ^ (t >>> 15);
    }
    return new Rng(state);
  }

  /** @throws SeprogError DATA_INVALID if `state` is not what `state()` gave */
  static fromState(state: string): Rng {
    const rng = new Rng(new Uint32Array(4));
    rng.setState(state);
    return rng;
  }

  /** @throws SeprogError DATA_INVALID if `state` is not what `state()` gave */
  setState(state: string): void {
    if (!STATE_FORM.test(state))
      throw new SeprogError(
        "DATA_INVALID",
        `expected 32 hexadecimal digits for \`rng\` but received "${state}"`,
      );
    for (let i = 0; i < 4; i++) this.#s[i] = Number.parseInt(state.slice(8 * i, 8 * i + 8), 16);
  }

  state(): string {
    return Array.from(this.#s, (word) => word.toString(16).padStart(8, "0")).join("");
  }

  /** Uniform 32-bit unsigned integer. */
  next(): number {
    // Read one by one: taking an array apart runs its iterator, and bootstraps draw by the million.
    const s = this.#s;
    const s0 = s[0] ?? 0;
    const s1 = s[1] ?? 0;
    const sum = (s0 + (s[3] ?? 0)) >>> 0;
    const result = (((sum << 7) | (sum >>> 25)) + s0) >>> 0;
    const c = (s[2] ?? 0) ^ s0;
    const d = (s[3] ?? 0) ^ s1;
    s[1] = s1 ^ c;
    s[0] = s0 ^ d;
    s[2] = c ^ (s1 << 9);
    s[3] = (d << 11) | (d >>> 21);
    return result;
  }

  /** Uniform integer in [0, bound), without modulo bias; `bound` in 1 … 2³². */
  int(bound: number): number {
    for (;;) {
      const draw = this.next();
      const rest = draw % bound;
      // Only draws below the last multiple of `bound` count.
      if (draw - rest + bound <= 2 ** 32) return rest;
    }
  }

  /** Uniform number in [0, 1). */
  unit(): number {
    return this.next() / 2 ** 32;
  }

  chance(probability: number): boolean {
    return this.unit() < probability;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.int(items.length)];
    if (item === undefined) throw new SeprogError("INTERNAL", "expected a non-empty list to pick from");
    return item;
  }

  /** Fisher–Yates, in place. */
  shuffle<T>(items: T[]): T[] {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.int(i + 1);
      [items[i], items[j]] = [items[j] as T, items[i] as T];
    }
    return items;
  }
}

/** A seed of its own for each (seed, number, purpose). */
export const mixSeed = (seed: number, index: number, purpose: number): number =>
  (Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca77) ^ Math.imul(purpose, 0xc2b2ae3d)) >>> 0;
