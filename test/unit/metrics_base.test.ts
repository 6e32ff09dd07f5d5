import { describe, expect, it } from "vitest";
import { changes } from "../../src/metrics/drawdown.js";
import { successes } from "../../src/metrics/edit_success.js";
import type { EditOutcome, InScopeOutcome, OutScopeOutcome } from "../../src/metrics/outcomes.js";
import { meansOfEpisodes } from "../../src/metrics/ratio.js";
import { METRICS } from "../../src/metrics/registry.js";

const asked = (fields: Partial<InScopeOutcome> = {}): InScopeOutcome => ({
  match: true,
  baseMatch: false,
  matchStrict: true,
  teacherForced: true,
  negLogLik: 0,
  tokens: 1,
  ...fields,
});

const outside = (fields: Partial<OutScopeOutcome> = {}): OutScopeOutcome => ({
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
  self: asked(),
  inScope: [],
  noisy: [],
  outScope: [],
  hard: [],
  ...fields,
});

const wrong = outside({ baseGoldMatch: false });

describe("the unedited model", () => {
  it("has its accuracy on random out-of-scope questions, the complement of its error", () => {
    const edits = [
      edit({ outScope: [outside(), wrong], hard: [wrong] }),
      edit({ edit: 1, outScope: [wrong, wrong] }),
    ];
    expect(METRICS.baseAccuracy(edits)?.value).toBe(0.25);
    expect(METRICS.errBase(edits)?.value).toBe(0.75);
    expect(METRICS.baseAccuracy([edit()])).toBeNull();
  });

  it("may say what is asked for already, on the questions of ES", () => {
    const known = asked({ match: false, baseMatch: true });
    const edits = [edit({ self: known, inScope: [asked(), known] }), edit({ edit: 1, self: known })];
    expect(METRICS.ESbase(edits)?.value).toBeCloseTo(2 / 3, 12);
    expect(METRICS.ESgained(edits)?.value).toBe(1);
    expect(METRICS.ESgained([edit({ self: known })])).toBeNull();
  });
});

describe("means of episodes", () => {
  const miss = asked({ match: false });
  const edits = [
    edit({ episode: 0, inScope: [asked(), miss], outScope: [outside({ same: false })] }),
    edit({ episode: 0, edit: 1, self: miss }),
    edit({ episode: 2, inScope: [asked()], outScope: [outside(), outside()] }),
  ];

  it("stand at their episodes, null where there is nothing", () => {
    expect(meansOfEpisodes(edits, successes)).toEqual([1 / 3, null, 1]);
    expect(meansOfEpisodes(edits, changes)).toEqual([1, null, 0]);
  });

  it("have the figure as their mean", () => {
    const means = meansOfEpisodes(edits, successes).filter((value) => value !== null);
    const mean = means.reduce((sum, value) => sum + value, 0) / means.length;
    expect(METRICS.ES(edits)?.value).toBeCloseTo(mean, 12);
  });
});
