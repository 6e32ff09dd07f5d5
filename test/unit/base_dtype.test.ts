import { describe, expect, it } from "vitest";
import { suiteCells } from "../../src/bench/grid.js";
import { ContentHashes, cellHash, modelChoice } from "../../src/bench/identity.js";
import { suiteFromArgs } from "../../src/cli/suite_args.js";
import { SeprogError } from "../../src/errors.js";
import { type BaseDtype, trainingDtype } from "../../src/models/base_dtype.js";

const cellsIn = (baseDtype?: BaseDtype) =>
  suiteCells(suiteFromArgs({ suite: "mini", set: ["k=[1]"], baseDtype }));

describe("the type of the base", () => {
  it("is fp32 unless the suite, a data set, an override or the flag says otherwise, the flag last", () => {
    expect(cellsIn().map((cell) => cell.baseDtype)).toEqual(["fp32", "fp32"]);
    const [first, second] = suiteCells(
      suiteFromArgs({ suite: "mini", set: ["k=[1]", "datasets.zsre.baseDtype=int8"] }),
    );
    expect([first?.baseDtype, second?.baseDtype].sort()).toEqual(["fp32", "int8"]);
    const flag = suiteFromArgs({ suite: "mini", set: ["baseDtype=bf16"], baseDtype: "int8" });
    expect(suiteCells(flag).every((cell) => cell.baseDtype === "int8")).toBe(true);
  });

  it("is one of four", () => {
    expect(() => suiteFromArgs({ suite: "mini", set: ["baseDtype=fp8"] })).toThrow(SeprogError);
    expect(() => suiteFromArgs({ suite: "mini", set: ["baseDtype=fp8"] })).toThrow(/baseDtype/);
  });

  it("tells cells and bases apart, but not editors that cannot be trained in it", async () => {
    const contents = new ContentHashes();
    const [wide] = cellsIn();
    const [int8] = cellsIn("int8");
    if (wide === undefined || int8 === undefined) throw new Error("expected cells");
    const hash = (cell: typeof wide) => cellHash(cell, "editor", contents);
    expect(await hash(wide)).not.toBe(await hash(int8));
    const plain = await modelChoice(wide.model, "fp32", contents);
    const rounded = await modelChoice(wide.model, "int8", contents);
    expect(rounded).toMatchObject({ folder: plain.folder, dtype: "int8" });
    expect(rounded.checksum).not.toBe(plain.checksum);
    expect(plain).not.toHaveProperty("dtype");
    expect(trainingDtype("int8")).toBe("fp32");
    expect(trainingDtype("bf16")).toBe("bf16");
  });
});
