import { describe, expect, it } from "vitest";
import { bootstrap, medianEstimate } from "../../src/metrics/bootstrap.js";
import type { EditOutcome, InScopeOutcome, OutScopeOutcome } from "../../src/metrics/outcomes.js";
import { computeMetrics, METRICS } from "../../src/metrics/registry.js";
import { matchesAny, matchesAnyStrict, normaliseAnswer } from "../../src/metrics/text.js";

const inScope = (fields: Partial<InScopeOutcome> = {}): InScopeOutcome => ({
  match: true,
  baseMatch: false,
  matchStrict: true,
  teacherForced: true,
  negLogLik: 0,
  tokens: 1,
  ...fields,
});

const outScope = (fields: Partial<OutScopeOutcome> = {}): OutScopeOutcome => ({
  same: true,
  sameStrict: true,
  goldMatch: true,
  baseGoldMatch: true,
  teacherForcedSame: true,
  kl: 0,
  tokens: 1,
  ...fields,
});

const edit = (fields: Partial<EditOutcome> = {}): EditOutcome => ({
  episode: 0,
  edit: 0,
  self: inScope(),
  inScope: [],
  noisy: [],
  outScope: [],
  hard: [],
  ...fields,
});

const miss = inScope({ match: false, matchStrict: false, teacherForced: false });
const hit = inScope();
const value = (name: keyof typeof METRICS, edits: readonly EditOutcome[]): number | undefined =>
  METRICS[name](edits)?.value;

describe("answers", () => {
  it("are compared after trimming and lower-casing", () => {
    expect(normaliseAnswer("  New York\n")).toBe("new york");
    expect(matchesAny("paris ", ["Paris"])).toBe(true);
    expect(matchesAny("Paris", ["London"])).toBe(false);
  });

  it("match a set of references by membership", () => {
    expect(matchesAny("UK", ["United Kingdom", "uk"])).toBe(true);
    expect(matchesAnyStrict("UK", ["United Kingdom", "uk"])).toBe(false);
    expect(matchesAnyStrict(" UK", ["UK"])).toBe(true);
  });
});

describe("edit success", () => {
  it("is the mean over items of an episode, then over episodes", () => {
    const edits = [
      edit({ episode: 0, inScope: [hit, miss, miss, miss] }),
      edit({ episode: 1, edit: 0, inScope: [hit] }),
      edit({ episode: 1, edit: 1, inScope: [hit] }),
    ];
    expect(value("ES", edits)).toBeCloseTo((0.25 + 1) / 2, 12);
  });

  it("falls back on the edit itself where a data set has no rephrases", () => {
    expect(value("ES", [edit({ self: miss }), edit({ edit: 1 })])).toBe(0.5);
  });

  it("lies between ES and ESself when both are averaged", () => {
    const edits = [
      edit({ self: hit, inScope: [miss, hit] }),
      edit({ edit: 1, self: hit, inScope: [miss, miss] }),
    ];
    expect(value("ES", edits)).toBe(0.25);
    expect(value("ESself", edits)).toBe(1);
    expect(value("ESall", edits)).toBe(0.625);
  });

  it("is not defined on noisy rephrases a data set does not have", () => {
    expect(METRICS.ESnoisy([edit()])).toBeNull();
    expect(value("ESnoisy", [edit({ noisy: [hit, miss] })])).toBe(0.5);
  });

  it("is told apart on edits that change something, where some keep what the base says", () => {
    const keeping = { ...hit, baseMatch: true };
    const kept = edit({ self: keeping, inScope: [keeping, keeping] });
    const changed = edit({ inScope: [hit, miss] });
    expect(METRICS.ESchanged([changed])).toBeNull();
    expect(value("ES", [kept, changed])).toBe(0.75);
    expect(value("ESchanged", [kept, changed])).toBe(0.5);
    expect(METRICS.ESchanged([kept])).toBeNull();
  });

  it("tells generated, strict and teacher-forced success apart", () => {
    const edits = [edit({ inScope: [inScope({ matchStrict: false, teacherForced: false })] })];
    expect([value("ES", edits), value("ESstrict", edits), value("ESteacherForced", edits)]).toEqual([
      1, 0, 0,
    ]);
  });

  it("weighs tokens, not sequences, in the negative log likelihood", () => {
    const ragged = [
      edit({ inScope: [inScope({ negLogLik: 6, tokens: 3 })] }),
      edit({ inScope: [inScope({ negLogLik: 1, tokens: 1 })] }),
    ];
    expect(value("nllIn", ragged)).toBe(7 / 4);
    expect(value("nllIn", ragged)).not.toBe((6 / 3 + 1 / 1) / 2);
  });
});

describe("drawdown", () => {
  it("is 0 when the edited model answers as the base, 1 when it never does", () => {
    const kept = [edit({ outScope: [outScope()] }), edit({ edit: 1, outScope: [outScope()] })];
    const lost = kept.map((one) => ({
      ...one,
      outScope: [outScope({ same: false, teacherForcedSame: false })],
    }));
    expect([value("DD", kept), value("DDteacherForced", kept)]).toEqual([0, 0]);
    expect([value("DD", lost), value("DDteacherForced", lost)]).toEqual([1, 1]);
  });

  it("against gold holds the base's own errors", () => {
    const wrongBefore = outScope({ goldMatch: false, baseGoldMatch: false });
    const edits = [edit({ outScope: [wrongBefore] }), edit({ edit: 1, outScope: [outScope()] })];
    expect([value("DD", edits), value("DDgold", edits), value("errBase", edits)]).toEqual([0, 0.5, 0.5]);
  });

  it("counts hard questions apart", () => {
    const edits = [edit({ outScope: [outScope()], hard: [outScope({ same: false })] }), edit({ edit: 1 })];
    expect([value("DD", edits), value("DDhard", edits)]).toEqual([0, 1]);
    expect(METRICS.DDhard(edits)?.n).toBe(1);
  });

  it("divides the KL divergence by tokens", () => {
    const edits = [edit({ outScope: [outScope({ kl: 3, tokens: 2 }), outScope({ kl: 1, tokens: 6 })] })];
    expect(value("klOut", edits)).toBe(0.5);
  });
});

describe("gate", () => {
  const scoped = (logit: number, selected = 0) => ({ scope: { logit, selected } });
  const edits = [
    edit({ inScope: [inScope(scoped(2))], outScope: [outScope(scoped(-1))] }),
    edit({ edit: 1, inScope: [inScope(scoped(1, 0))], outScope: [outScope(scoped(3))] }),
    edit({ edit: 2, inScope: [inScope(scoped(-2, 2))], outScope: [outScope(scoped(-4))] }),
  ];

  it("has accuracy, precision and recall by hand count", () => {
    expect(value("gateAccuracy", edits)).toBeCloseTo((2 / 3 + 2 / 3) / 2, 12);
    expect(value("gatePrecision", edits)).toBeCloseTo(2 / 3, 12);
    expect(value("gateRecall", edits)).toBeCloseTo(2 / 3, 12);
    expect(value("gateOnRandom", edits)).toBeCloseTo(1 / 3, 12);
  });

  it("has the area under the curve as the share of ordered pairs, ties half", () => {
    const wins = [2 > -1, 2 > 3, 2 > -4, 1 > -1, 1 > 3, 1 > -4, -2 > -1, -2 > 3, -2 > -4].filter(
      Boolean,
    ).length;
    expect(value("gateAuc", edits)).toBeCloseTo(wins / 9, 12);
    const tied = [edit({ inScope: [inScope(scoped(1))], outScope: [outScope(scoped(1))] })];
    expect(value("gateAuc", tied)).toBe(0.5);
  });

  it("counts a selection as right when it is the item's own edit", () => {
    expect(value("selectionAccuracy", edits)).toBeCloseTo(2 / 3, 12);
  });

  it("has no selection to count for an editor without attention", () => {
    const mixed = [edit({ inScope: [inScope(scoped(2, -1))], outScope: [outScope(scoped(-1, -1))] })];
    expect(METRICS.selectionAccuracy(mixed)).toBeNull();
    expect(value("gateRecall", mixed)).toBe(1);
  });

  it("a logit of 0 is out of scope", () => {
    const zero = [edit({ inScope: [inScope(scoped(0))], outScope: [outScope(scoped(0))] })];
    expect([value("gateRecall", zero), value("gateOnRandom", zero)]).toEqual([0, 0]);
    expect(METRICS.gatePrecision(zero)).toBeNull();
  });

  it("is not defined for editors without one", () => {
    const without = [edit({ inScope: [hit], outScope: [outScope()] })];
    for (const name of [
      "gateAccuracy",
      "gatePrecision",
      "gateRecall",
      "gateAuc",
      "selectionAccuracy",
    ] as const)
      expect(METRICS[name](without)).toBeNull();
  });
});

describe("every metric", () => {
  const varied = Array.from({ length: 30 }, (_, i) =>
    edit({
      episode: Math.floor(i / 10),
      edit: i % 10,
      self: inScope({ match: i % 4 !== 0, baseMatch: i % 6 === 0 }),
      inScope: [
        inScope({
          match: i % 3 === 0,
          negLogLik: i,
          tokens: 1 + (i % 4),
          scope: { logit: 15 - i, selected: i % 7 },
        }),
      ],
      noisy: [inScope({ match: i % 2 === 0 })],
      outScope: [outScope({ same: i % 5 !== 0, kl: i / 7, scope: { logit: i - 20, selected: 0 } })],
      hard: [outScope({ same: i % 2 === 0, scope: { logit: i - 10, selected: 0 } })],
    }),
  );

  it("does not depend on the order of the rows", () => {
    const forward = computeMetrics(varied, { resamples: 1 });
    const backward = computeMetrics(varied.toReversed(), { resamples: 1 });
    for (const name of Object.keys(METRICS) as (keyof typeof METRICS)[])
      expect(backward[name]?.value, name).toBeCloseTo(forward[name]?.value ?? Number.NaN, 12);
  });

  it("lies in its interval", () => {
    for (const [name, estimate] of Object.entries(computeMetrics(varied))) {
      expect(estimate?.low, name).toBeLessThanOrEqual(estimate?.value ?? Number.NaN);
      expect(estimate?.high, name).toBeGreaterThanOrEqual(estimate?.value ?? Number.NaN);
    }
  });
});

describe("bootstrap", () => {
  const mean = (values: readonly number[]) => (counts: Uint32Array) =>
    values.reduce((sum, one, i) => sum + one * (counts[i] ?? 0), 0) /
    counts.reduce((sum, count) => sum + count, 0);
  const coin = Array.from({ length: 400 }, (_, i) => Number(i % 2 === 0));

  it("is the same for the same seed and another for another", () => {
    const run = (seed: number) => bootstrap(coin.length, mean(coin), { seed });
    expect(run(1)).toEqual(run(1));
    expect(run(1)).not.toEqual(run(2));
  });

  it("is as wide as the normal approximation says", () => {
    const estimate = bootstrap(coin.length, mean(coin), { resamples: 4000 });
    const halfWidth = 1.96 * Math.sqrt(0.25 / coin.length);
    expect(estimate?.value).toBe(0.5);
    expect(estimate?.low).toBeCloseTo(0.5 - halfWidth, 2);
    expect(estimate?.high).toBeCloseTo(0.5 + halfWidth, 2);
    expect(estimate?.n).toBe(400);
  });

  it("gives medians of repetitions", () => {
    const estimate = medianEstimate([5, 1, 3, 100, 2]);
    expect(estimate?.value).toBe(3);
    expect(estimate?.low).toBeGreaterThanOrEqual(1);
    expect(estimate?.high).toBeLessThanOrEqual(100);
    expect(medianEstimate([2, 4])?.value).toBe(3);
    expect(medianEstimate([])).toBeNull();
  });
});
