import { describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { selectFrom, withMicroBatch } from "../../src/config/select.js";
import { suiteOf } from "../support/suite_of.js";

// One method with chunks stands in for all that have them.
vi.mock("../../src/editors/seprog.js", async (original) => {
  const { seprog } = await original<typeof import("../../src/editors/seprog.js")>();
  const spec = seprog.spec.extend({ microBatch: z.int().positive().default(16) });
  return { seprog: { ...seprog, spec } };
});

const suite = suiteOf({
  name: "grid",
  model: "t5-mini",
  datasets: ["counterfact", { name: "zsre", k: [1, 8] }],
  k: [1, 4, 64],
  methods: {
    seprog: { editor: { kind: "seprog" } },
    noselect: { like: "seprog", editor: { variant: "noselect" } },
    length: { like: "seprog", sweep: { "editor.promptLength": [2, 4] } },
  },
});

const shape = (chosen: typeof suite) =>
  chosen.datasets.map(({ name, k, methods }) => [name, k, Object.keys(methods)]);

describe("a part of a suite", () => {
  it("has the chosen methods, data sets and K, in the suite's order", () => {
    expect(selectFrom(suite, {})).toEqual(suite);
    expect(shape(selectFrom(suite, { methods: ["noselect", "seprog"], k: [64, 1] }))).toEqual([
      ["counterfact", [1, 64], ["seprog", "noselect"]],
      ["zsre", [1], ["seprog", "noselect"]],
    ]);
    expect(shape(selectFrom(suite, { datasets: ["zsre"], methods: ["length-p4"] }))).toEqual([
      ["zsre", [1, 8], ["length-p4"]],
    ]);
  });

  it("has all values of a swept method that is called by its own name", () => {
    const [dataset] = selectFrom(suite, { methods: ["length"] }).datasets;
    expect(Object.keys(dataset?.methods ?? {})).toEqual(["length-p2", "length-p4"]);
  });

  it("leaves out a data set that has none of the K", () => {
    expect(shape(selectFrom(suite, { k: [8] })).map(([name]) => name)).toEqual(["zsre"]);
  });

  it("names everything that the suite lacks", () => {
    const choose = () => selectFrom(suite, { methods: ["sepro"], datasets: ["fever"], k: [2] });
    expect(choose).toThrow(expect.objectContaining({ code: "CONFIG_INVALID" }));
    expect(choose).toThrow(/`--methods` but received "sepro"; did you mean "seprog"\?/);
    expect(choose).toThrow(/some of counterfact, zsre for `--datasets` but received "fever"/);
    expect(choose).toThrow(/some of 1, 4, 64, 8 for `--k` but received "2"$/);
  });
});

describe("rows a chunk", () => {
  it("are set in every method that works in chunks", () => {
    const editors = withMicroBatch(suite, 4).datasets.flatMap(({ methods }) =>
      Object.values(methods).map(({ config }) => config.editor),
    );
    expect(editors).toHaveLength(8);
    for (const editor of editors) expect(editor).toMatchObject({ microBatch: 4 });
  });
});
