import { describe, expect, test } from "vitest";
import { Rng } from "../../src/data/random.js";

describe("Rng", () => {
  test("known sequence of xoshiro128++ from its state", () => {
    // Test vector of the authors' reference code for the state 1, 2, 3, 4.
    const rng = Rng.fromState("00000001000000020000000300000004");
    expect(Array.from({ length: 6 }, () => rng.next())).toEqual([
      641, 1573767, 3222811527, 3517856514, 836907274, 4247214768,
    ]);
  });

  test("the same seed gives the same sequence, another seed another one", () => {
    const draw = (seed: number) => {
      const rng = Rng.fromSeed(seed);
      return Array.from({ length: 50 }, () => rng.next());
    };
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
  });

  test("a restored state continues exactly", () => {
    const rng = Rng.fromSeed(3);
    for (let i = 0; i < 17; i++) rng.next();
    const copy = Rng.fromState(rng.state());
    expect(Array.from({ length: 20 }, () => copy.int(1000))).toEqual(
      Array.from({ length: 20 }, () => rng.int(1000)),
    );
  });

  test.each(["", "xyz", "0".repeat(31), `${"0".repeat(31)}g`])("refuses the state %j", (state) => {
    expect(() => Rng.fromState(state)).toThrow(expect.objectContaining({ code: "DATA_INVALID" }));
  });

  test("integers are uniform within sampling error", () => {
    const rng = Rng.fromSeed(0);
    const counts = new Array<number>(10).fill(0);
    const draws = 100_000;
    for (let i = 0; i < draws; i++) {
      const value = rng.int(10);
      counts[value] = (counts[value] ?? 0) + 1;
    }
    // Five standard deviations of a binomial count.
    const tolerance = 5 * Math.sqrt(draws * 0.1 * 0.9);
    for (const count of counts) expect(Math.abs(count - draws / 10)).toBeLessThan(tolerance);
  });

  test("shuffle is a permutation", () => {
    const items = Array.from({ length: 100 }, (_, i) => i);
    const shuffled = Rng.fromSeed(1).shuffle([...items]);
    expect(shuffled).not.toEqual(items);
    expect(shuffled.toSorted((a, b) => a - b)).toEqual(items);
  });
});
