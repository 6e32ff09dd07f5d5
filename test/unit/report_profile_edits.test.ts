// What an edit costs with its part of everything that is paid once.
import { describe, expect, it } from "vitest";
import { costPerEditMs, editCostTable, oneOffTable } from "../../src/report/profile/edit_costs.js";
import { profileRecord } from "../support/profile_records.js";
import { notesOf, rowOf, settingOf } from "../support/profile_settings.js";

describe("the cost of an edit", () => {
  const record = profileRecord("seprog", 64);

  it("has its part of what is paid once", () => {
    // 100.5 s once; 50 ms for 64 edits.
    expect(costPerEditMs(record, 1)).toBeCloseTo(100_500 + 50 / 64, 6);
    expect(costPerEditMs(record, 10_000)).toBeCloseTo(10.05 + 50 / 64, 6);
    expect(rowOf(oneOffTable(settingOf(), 64), "seprog: train_editor")).toEqual([
      "1 min 40 s",
      "200 MiB",
      "1000 steps × step",
    ]);
  });

  it("is more for one that holds", () => {
    expect(rowOf(editCostTable(settingOf(), 64), "seprog")).toEqual([
      "1 min 41 s",
      "1 min 41 s",
      "1.01 s",
      "10.8 ms",
      "0.750",
      "2 min 14 s",
      "1.34 s",
      "14.4 ms",
    ]);
  });

  it("takes edit success of a bench run where there is one", () => {
    const figure = { value: 0.5, low: 0.4, high: 0.6, n: 100 };
    const known = { ...record, quality: { ES: figure, DD: figure } };
    expect(rowOf(editCostTable(settingOf([known]), 64), "seprog")[4]).toBe("0.500");
  });

  it("is not told of edits that never hold or were never learned", () => {
    const table = editCostTable(settingOf([{ ...record, successes: 0 }]), 64);
    expect(rowOf(table, "seprog").slice(-3)).toEqual(["none holds", "none holds", "none holds"]);
    const fresh = editCostTable(settingOf([{ ...record, successes: null, editor: "fresh" }]), 64);
    expect(fresh.columns).toHaveLength(4);
    expect(notesOf([{ ...record, editor: "fresh" }]).join()).toContain("not trained");
  });
});
