import { describe, expect, it } from "vitest";
import { leastMedianRatio, medianRatio } from "../../src/metrics/median_ratio.js";

describe("the ratio of two medians", () => {
  it("is that of the middles, with an interval that repeats", () => {
    const ratio = medianRatio([2, 4, 6], [1, 2, 30]);
    expect(ratio).toMatchObject({ value: 2, n: 3 });
    expect(ratio?.low).toBeLessThan(2);
    expect(ratio?.high).toBeGreaterThan(2);
    expect(medianRatio([2, 4, 6], [1, 2, 30])).toEqual(ratio);
  });

  it("has no width where nothing varies, and no value where there is nothing", () => {
    expect(medianRatio([300, 300], [100, 100, 100])).toEqual({ value: 3, low: 3, high: 3, n: 2 });
    expect(medianRatio([], [1])).toBeNull();
    expect(medianRatio([1], [])).toBeNull();
    expect(medianRatio([1], [0])).toBeNull();
    expect(leastMedianRatio([], [1])).toBeNull();
  });

  it("takes the least of several, whichever it is", () => {
    expect(leastMedianRatio([[900], [320], [500]], [100])?.value).toBe(3.2);
    // Two that are alike: the least of them is drawn below either's own middle.
    const alike = [8, 9, 10, 11, 12];
    const best = leastMedianRatio([alike, alike], [1]);
    const single = medianRatio(alike, [1]);
    expect(best?.high).toBeLessThan(single?.high ?? 0);
  });
});
