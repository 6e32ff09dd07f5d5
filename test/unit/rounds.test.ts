// Samples of several processes: what their intervals hold, and how they become one record.
import { describe, expect, it } from "vitest";
import {
  changeOverRounds,
  inRounds,
  leastRatioOverRounds,
  medianOverRounds,
  ratioOverRounds,
} from "../../src/metrics/rounds.js";
import { studentQuantile } from "../../src/metrics/student_t.js";
import type { ProfileRecord } from "../../src/profile/record.js";
import { inTurn, mergeRounds, roundPlan } from "../../src/profile/rounds.js";
import { operation, phase, profileRecord } from "../support/profile_records.js";

describe("Student's t", () => {
  // Points of the usual tables.
  it.each([
    [0.975, 1, 12.7062],
    [0.975, 2, 4.3027],
    [0.975, 3, 3.1824],
    [0.975, 4, 2.7764],
    [0.975, 15, 2.1314],
    [0.975, 30, 2.0423],
    [0.95, 7, 1.8946],
    [0.9995, 6, 5.9588],
    [0.9995, 9, 4.7809],
  ])("has its point %d of %d degrees of freedom", (probability, degrees, point) => {
    expect(studentQuantile(probability, degrees)).toBeCloseTo(point, 3);
  });
});

describe("intervals over rounds", () => {
  /** Hardly any spread within a round, a tenth between them. */
  const DRIFTING = [
    [100, 101, 99],
    [110, 111, 109],
    [90, 91, 89],
  ];

  it("hold what differs between processes, not within one", () => {
    const estimate = medianOverRounds(DRIFTING);
    expect(estimate).toMatchObject({ value: 100, n: 3 });
    // Student's 4.303 with 2 degrees of freedom.
    const logs = DRIFTING.map(([middle = 0]) => Math.log(middle));
    const mean = logs.reduce((sum, log) => sum + log, 0) / 3;
    const deviation = Math.sqrt(logs.reduce((sum, log) => sum + (log - mean) ** 2, 0) / 2);
    expect(estimate?.high).toBeCloseTo(100 * Math.exp((4.3027 * deviation) / Math.sqrt(3)), 2);
    expect((estimate?.low ?? 0) * (estimate?.high ?? 0)).toBeCloseTo(100 ** 2, 6);
    const within = medianOverRounds([DRIFTING.flat()]);
    expect(within?.n).toBe(9);
    expect((within?.high ?? 0) - (within?.low ?? 0)).toBeLessThan(
      (estimate?.high ?? 0) - (estimate?.low ?? 0),
    );
  });

  it("lose in a ratio what both sides share in a round", () => {
    const twice = DRIFTING.map((round) => round.map((ms) => 2 * ms));
    const ratio = ratioOverRounds(twice, DRIFTING);
    expect(ratio?.value).toBe(2);
    expect(ratio?.low).toBeCloseTo(2, 9);
    expect(ratio?.high).toBeCloseTo(2, 9);
    const change = changeOverRounds(twice, DRIFTING);
    expect(change?.value).toBe(2);
    expect(change?.low).toBeLessThan(1.7);
    expect(change?.high).toBeGreaterThan(2.3);
  });

  it("choose the least of several anew in every round", () => {
    const one = [[10], [30], [10]];
    const other = [[20], [12], [20]];
    const least = leastRatioOverRounds([one, other], [[1], [1], [1]]);
    expect(least?.value).toBe(10);
    expect(least?.high).toBeLessThan((ratioOverRounds(one, [[1], [1], [1]])?.high ?? 0) / 2);
  });

  it("are of samples where there is one round, and exact where nothing varies", () => {
    expect(ratioOverRounds([[2, 4, 6]], [[1, 2, 30]])).toMatchObject({ value: 2, n: 3 });
    expect(changeOverRounds([[5], [5]], [[10], [10]])).toEqual({ value: 0.5, low: 0.5, high: 0.5, n: 2 });
    expect(medianOverRounds([[], []])).toBeNull();
    expect(ratioOverRounds([[1], [1]], [[0], [0]])).toBeNull();
    expect(
      medianOverRounds([
        [0, 0],
        [0, 0],
      ]),
    ).toMatchObject({ value: 0, low: 0, high: 0 });
  });

  it("of a phase that took no time in one round are of all samples", () => {
    const rounds = [
      [0, 0],
      [4, 4],
    ];
    expect(medianOverRounds(rounds)).toMatchObject({ value: 2, n: 4 });
  });

  it("take samples in their order", () => {
    expect(inRounds([1, 2, 3, 4, 5, 6], 3)).toEqual([
      [1, 2],
      [3, 4],
      [5, 6],
    ]);
  });
});

describe("rounds of a profile", () => {
  it("are as many as asked for, with as many repetitions each", () => {
    expect(roundPlan({ warmUps: 1, repetitions: 20, rounds: 5 })).toEqual({ rounds: 5, repetitions: 4 });
    expect(roundPlan({ warmUps: 1, repetitions: 7, rounds: 3 })).toEqual({ rounds: 3, repetitions: 3 });
    expect(roundPlan({ warmUps: 1, repetitions: 2, rounds: 5 })).toEqual({ rounds: 2, repetitions: 1 });
  });

  it("go there and back", () => {
    expect([0, 1, 2].map((round) => inTurn(["a", "b"], round).join(""))).toEqual(["ab", "ba", "ab"]);
  });

  it("become one record, phases one after the other", () => {
    const round = (ms: number, hasRarePhase: boolean): ProfileRecord => {
      const phases = [
        phase("train.forward", "forward", ms, { peakBytes: 100 + ms }),
        ...(hasRarePhase ? [phase("train.rare", "edit", 1)] : []),
      ];
      return profileRecord(
        "mend",
        8,
        {},
        {
          trainStep: operation(phases, 1000 + ms, { memoryMap: { weights: 1000 + ms } }),
          oneOff: [{ name: "load_model", wallMs: ms, peakBytes: 10 * ms, source: "measured" }],
        },
      );
    };
    const merged = mergeRounds([round(10, false), round(30, true), round(20, false)]);
    const { trainStep } = merged;
    if ("notApplicable" in trainStep) throw new Error("expected a training step");
    expect(merged.repetitions).toBe(60);
    expect(trainStep.rounds).toBe(3);
    expect(trainStep.wallMs).toHaveLength(60);
    expect(trainStep.peakBytes[20]).toBe(1030);
    expect(trainStep.memoryMap).toEqual({ weights: 1030 });
    expect(trainStep.phases.map(({ name }) => name)).toEqual(["train.forward", "train.rare"]);
    const [forward, rare] = trainStep.phases;
    expect(forward?.peakBytes).toBe(130);
    expect(rare?.wallMs.slice(0, 20)).toEqual(Array.from({ length: 20 }, () => 0));
    for (const [i, whole] of trainStep.wallMs.entries())
      expect((forward?.wallMs[i] ?? 0) + (rare?.wallMs[i] ?? 0)).toBeCloseTo(whole, 9);
    expect(merged.oneOff).toEqual([{ name: "load_model", wallMs: 20, peakBytes: 300, source: "measured" }]);
  });
});
