import { describe, expect, it } from "vitest";
import { EarlyStopping } from "../../src/training/early_stopping.js";
import { learningRateAt } from "../../src/training/schedule.js";

describe("learning rate", () => {
  const constant = { learningRate: 1e-3, warmupSteps: 4, schedule: "constant", endFactor: 0.05 } as const;

  it("rises linearly from 0 and stays", () => {
    const rates = [0, 1, 2, 3, 4, 99].map((step) => learningRateAt(step, 100, constant));
    expect(rates).toEqual([2.5e-4, 5e-4, 7.5e-4, 1e-3, 1e-3, 1e-3]);
  });

  it("falls linearly to the end factor at the last step", () => {
    const linear = { ...constant, warmupSteps: 0, schedule: "linear" } as const;
    expect(learningRateAt(0, 101, linear)).toBe(1e-3);
    expect(learningRateAt(50, 101, linear)).toBeCloseTo(1e-3 * (1 - 0.95 / 2), 12);
    expect(learningRateAt(100, 101, linear)).toBeCloseTo(5e-5, 12);
  });

  it("is defined for a run of one step", () => {
    expect(learningRateAt(0, 1, { ...constant, warmupSteps: 0, schedule: "linear" })).toBe(1e-3);
  });
});

describe("early stopping", () => {
  it("keeps the lowest loss and counts patience from it", () => {
    const stopping = new EarlyStopping(100);
    expect(stopping.observe(50, 2)).toBe(true);
    expect(stopping.observe(100, 2)).toBe(false);
    expect(stopping.stepsLeft(100)).toBe(50);
    expect(stopping.observe(120, 1.5)).toBe(true);
    expect(stopping.stepsLeft(120)).toBe(100);
    expect(stopping.observe(220, 3)).toBe(false);
    expect(stopping.stepsLeft(220)).toBe(0);
    expect(stopping.bestStep).toBe(120);
  });

  it("goes on from its saved state", () => {
    const first = new EarlyStopping(100);
    first.observe(50, 2);
    const second = new EarlyStopping(100, first.state());
    expect(second.observe(60, 2.5)).toBe(false);
    expect(second.stepsLeft(60)).toBe(90);
  });

  it("never takes a loss that is no number", () => {
    const stopping = new EarlyStopping(100);
    expect(stopping.observe(10, Number.NaN)).toBe(false);
    expect(stopping.observe(20, 5)).toBe(true);
    expect(stopping.observe(30, Number.NaN)).toBe(false);
    expect(stopping.state()).toEqual({ bestLoss: 5, bestStep: 20 });
  });
});
