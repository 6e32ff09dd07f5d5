import { describe, expect, test } from "vitest";
import { mergeGroups } from "../../src/data/groups.js";
import { splitByGroup, toDataset } from "../../src/data/splits.js";
import { cleanText, groupKey, sameAnswer } from "../../src/data/text.js";
import { SPLITS } from "../../src/data/types.js";
import { makeRecord } from "../support/records.js";

describe("text keys", () => {
  test.each([
    ["Danielle Darrieux", "danielledarrieux"],
    ["  Café — Déjà-vu! ", "cafedejavu"],
    ["ﬁne ½", "fine12"],
    ["日本語", "日本語"],
    ["?!", "?!"],
  ])("groupKey(%j) = %j", (text, key) => expect(groupKey(text)).toBe(key));

  test("cleanText joins lines and blanks", () => expect(cleanText(" a\n\tb  c ")).toBe("a b c"));
  test("sameAnswer", () => {
    expect(sameAnswer("U.S.A.", "usa")).toBe(true);
    expect(sameAnswer("French", "Frenchman")).toBe(false);
  });
});

test("mergeGroups joins over shared keys, transitively", () => {
  const groups = mergeGroups([["a", "q1"], ["b", "q2"], ["c", "q1"], ["c", "q2"], ["d"], []]);
  expect(new Set(groups.slice(0, 4)).size).toBe(1);
  expect(groups[4]).toBe("d");
});

describe("splitByGroup", () => {
  const groups = Array.from({ length: 1000 }, (_, i) => `g${i % 400}`);
  const splitOf = splitByGroup(groups, { test: 0.2, validation: 0.1 });

  test("gives each group one split, about as large as asked for", () => {
    const share = (name: string) => groups.filter((group) => splitOf.get(group) === name).length / 1000;
    expect(share("test")).toBeCloseTo(0.2, 2);
    expect(share("validation")).toBeCloseTo(0.1, 2);
  });

  test("does not depend on the order of the records", () => {
    expect(splitByGroup(groups.toReversed(), { test: 0.2, validation: 0.1 })).toEqual(splitOf);
  });
});

describe("toDataset", () => {
  test("keeps named splits and draws the rest of a group along", () => {
    const { splits } = toDataset("d", [
      makeRecord("1", { group: "g", split: "validation" }),
      makeRecord("2", { group: "g" }),
    ]);
    expect(splits.validation.map(({ id }) => id)).toEqual(["1", "2"]);
  });

  test("refuses a group in two splits", () => {
    const records = [
      makeRecord("1", { group: "g", split: "train" }),
      makeRecord("2", { group: "g", split: "test" }),
    ];
    expect(() => toDataset("d", records)).toThrow(expect.objectContaining({ code: "DATA_INVALID" }));
  });

  test("every record is in exactly one split", () => {
    const records = Array.from({ length: 200 }, (_, i) => makeRecord(String(i), { group: `g${i % 90}` }));
    const { splits } = toDataset("d", records);
    expect(SPLITS.flatMap((split) => splits[split]).length).toBe(200);
    const seen = SPLITS.map((split) => new Set(splits[split].map(({ group }) => group)));
    expect(seen.reduce((sum, groups) => sum + groups.size, 0)).toBe(90);
  });
});
