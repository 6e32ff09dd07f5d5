import { describe, expect, it } from "vitest";
import { agreementWithFp32 } from "../../src/evaluation/agreement.js";
import { agreementTable } from "../../src/report/agreement_table.js";
import { cellResult, editRecord, summaryCell } from "../support/run_fixture.js";

const lines = [0, 1, 2, 3].map((index) => editRecord(index));

describe("a rounded base beside fp32", () => {
  it("changes nothing where every answer is the same", () => {
    const same = agreementWithFp32("int8", lines, lines);
    expect(same.sameAnswers).toMatchObject({ value: 1, low: 1, high: 1 });
    expect(same.sameBaseAnswers.value).toBe(1);
    expect(same.ES.change).toBe(0);
    expect(same.DD).toEqual({ fp32: 0, change: 0 });
  });

  it("is told by the answers that differ, and by what they do to ES and DD", () => {
    const [first, second, ...rest] = lines;
    if (first === undefined || second === undefined) throw new Error("expected lines");
    const [asked] = second.inScope;
    const [other] = second.outScope;
    if (asked === undefined || other === undefined) throw new Error("expected questions");
    const rounded = [
      first,
      {
        ...second,
        inScope: [{ ...asked, edited: "Norwegian", match: false }],
        outScope: [{ ...other, base: "Cuzco", same: false }],
      },
      ...rest,
    ];
    const changed = agreementWithFp32("int8", rounded, lines);
    // Four questions an edit; one edited answer and one of the base differ.
    expect(changed.sameAnswers.value).toBeCloseTo(15 / 16, 12);
    expect(changed.sameBaseAnswers.value).toBeCloseTo(15 / 16, 12);
    // Of four clean rephrases two were answered as edited, and now one.
    expect(changed.ES.fp32).toBeCloseTo(0.5, 12);
    expect(changed.ES.change).toBeCloseTo(-0.25, 12);
    expect(changed.DD.change).toBeCloseTo(0.25, 12);
  });

  it("stands in the report where a base was rounded, and only there", () => {
    const plain = cellResult(summaryCell("zsre", 1));
    expect(agreementTable([plain])).toBeNull();
    const agreement = agreementWithFp32("int8", lines, lines);
    const table = agreementTable([plain, { ...plain, agreement }]);
    expect(table?.rows).toHaveLength(1);
    expect(table?.rows[0]?.cells.map(({ value }) => value)).toEqual([
      "int8",
      "0.500",
      "+0.000",
      "0.000",
      "+0.000",
      "1.000",
      "1.000",
    ]);
  });
});
