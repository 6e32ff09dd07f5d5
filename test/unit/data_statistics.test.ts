import { expect, test } from "vitest";
import { toDataset } from "../../src/data/splits.js";
import { datasetStatistics } from "../../src/data/statistics.js";
import { makeRecord } from "../support/records.js";

test("statistics count, measure and find what splits share", () => {
  const { splits, overlaps, examples, name } = datasetStatistics(
    toDataset("toy", [
      makeRecord("1", { split: "train", relation: "P1", x_e: "12345", x_loc: "12345" }),
      makeRecord("2", { split: "train", relation: "P1", hard_out: [], x_e: "123", x_loc: "123" }),
      makeRecord("3", { split: "test", in_scope: [], entailed: [{ x: "then", y: "z" }], y_loc: ["ab"] }),
      // Its neighbour is an edit of train, in one of train's wordings.
      makeRecord("4", {
        split: "test",
        y_loc: ["ab"],
        hard_out: [{ x: "rephrase 2 of 1", y_gold: ["g"], group: "group-1" }],
      }),
    ]),
  );
  expect(name).toBe("toy");
  expect(splits.train).toMatchObject({
    records: 2,
    groups: 2,
    relations: 1,
    withHardOutOfScope: 1,
    withNoisyRephrase: 2,
    rephrasesPerRecord: 3,
    entailedPerRecord: 0,
    commonAnswers: [
      { answer: "gold 1", share: 0.5 },
      { answer: "gold 2", share: 0.5 },
    ],
    inputLength: { mean: 4, max: 5 },
  });
  expect(splits.test).toMatchObject({
    withRephrase: 1,
    rephrasesPerRecord: 1.5,
    entailedPerRecord: 0.5,
    commonAnswers: [{ answer: "ab", share: 1 }],
    distinctAnswers: 1,
    answerLength: { mean: 2, max: 2 },
  });
  expect(splits.validation).toMatchObject({
    records: 0,
    rephrasesPerRecord: 0,
    inputLength: { mean: 0, max: 0 },
  });
  expect(overlaps.find(({ a, b }) => a === "train" && b === "test")).toEqual({
    a: "train",
    b: "test",
    sharedGroups: 0,
    sharedNeighbourGroups: 1,
    sharedInputs: 1,
  });
  expect(examples.map(({ id }) => id)).toEqual(["3", "4"]);
});
