import { describe, expect, test } from "vitest";
import { evaluationSchema } from "../../src/config/evaluation.js";
import { trainingSchema } from "../../src/config/training.js";
import { evaluationEpisodes } from "../../src/data/evaluation_episodes.js";
import { drawKeptLabel, withBasePredictions } from "../../src/data/labels.js";
import { Rng } from "../../src/data/random.js";
import { recordSchema } from "../../src/data/schema.js";
import { TrainingSampler } from "../../src/data/training_sampler.js";
import type { EditRecord } from "../../src/data/types.js";
import { makeRecord, makeRecords } from "../support/records.js";

const claims = makeRecords(60, (i) => ({
  y_e_options: [i % 2 === 0 ? "False" : "True"],
  y_loc: [i % 2 === 0 ? "True" : "False"],
  base_pred: i % 2 === 0 ? "True" : "False",
}));
const rule = (id: string, base_pred: string): EditRecord =>
  makeRecord(id, {
    y_e_options: ["True"],
    in_scope: [],
    entailed: [{ x: `what follows from ${id}`, y: "False" }],
    x_loc: `what follows from ${id}`,
    y_loc: ["False"],
    base_pred,
  });

describe("keepShare", () => {
  test("is 0 unless asked for, and then draws nothing", () => {
    expect(trainingSchema.parse({}).keepShare).toBe(0);
    expect(evaluationSchema.parse({}).keepShare).toBe(0);
    const rng = Rng.fromSeed(3);
    const before = rng.state();
    expect(claims.map((record) => drawKeptLabel(record, 0, rng)).filter((y) => y !== undefined)).toEqual([]);
    expect(rng.state()).toBe(before);
  });

  test.each([0, 0.5, 1])("%d of the training edits ask for what the base model says", (keepShare) => {
    const sampler = new TrainingSampler(claims, { trainK: 16, editsPerStep: 64, labels: "given", keepShare });
    const episodes = Array.from({ length: 20 }, () => sampler.next()).flatMap((step) => step.episodes);
    const edits = episodes.flatMap((episode) => episode.edits);
    const kept = edits.filter(({ record, y_e }) => y_e === record.base_pred).length / edits.length;
    expect(Math.abs(kept - keepShare)).toBeLessThan(keepShare === 0.5 ? 0.05 : 1e-9);
    for (const { edits, inScope } of episodes)
      for (const { y, editIndex } of inScope) expect(y).toBe(edits[editIndex]?.y_e);
  });

  test("evaluation keeps the gold answer where the base's is not known", () => {
    const unknown = claims.map(({ base_pred: _, ...record }) => record);
    const episodes = evaluationEpisodes(unknown, 4, { keepShare: 1 });
    const edits = episodes.flatMap((episode) => episode.edits);
    expect(edits.length).toBeGreaterThan(0);
    for (const { record, y_e } of edits) expect(y_e).toBe(record.y_loc[0]);
  });

  test("asks nothing empty to be kept", () => {
    const silent = makeRecord("silent", { base_pred: " " });
    expect(drawKeptLabel(silent, 1, Rng.fromSeed(0))).toBeUndefined();
  });
});

describe("edits that act by what follows from them", () => {
  const rules = Array.from({ length: 20 }, (_, i) => rule(String(i), i % 4 === 0 ? "False" : "True"));

  test("may ask for what the base model says already", () => {
    const predicted = withBasePredictions(rules, new Map(rules.map(({ id }) => [id, "True"])));
    expect(predicted).toHaveLength(20);
    const sampler = new TrainingSampler(predicted, { trainK: 4, labels: "given", keepShare: 1 });
    const edits = sampler.next().episodes.flatMap((episode) => episode.edits);
    expect(new Set(edits.map(({ y_e }) => y_e))).toEqual(new Set(["True"]));
  });

  test("onlyWrong leaves out those that do", () => {
    const ids = (onlyWrong: boolean) => {
      const episodes = evaluationEpisodes(rules, 1, { onlyWrong, minEpisodes: 40 });
      return new Set(episodes.flatMap(({ edits }) => edits.map(({ record }) => record.id)));
    };
    expect(ids(false).size).toBe(20);
    expect(ids(true)).toEqual(new Set(["0", "4", "8", "12", "16"]));
  });

  test("are valid records, others that change nothing are not", () => {
    const line = { x_e: "A mole is an animal.", y_e_options: ["True"], base_pred: "True" };
    expect(recordSchema.safeParse(line).success).toBe(false);
    const entailed = [{ x: "A mole breathes.", y: "True" }];
    expect(recordSchema.safeParse({ ...line, entailed }).success).toBe(true);
  });
});
