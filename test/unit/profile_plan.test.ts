// Plans without an engine: devices, rows of random ids, the search for a micro-batch, the tables.
import { describe, expect, it } from "vitest";
import { planTarget, tensorBudget } from "../../src/profile/devices.js";
import { evenLengths } from "../../src/profile/even_lengths.js";
import { largestBelow } from "../../src/profile/largest_below.js";
import type { CellPlan, Plan } from "../../src/profile/plan_record.js";
import { comparisonTable, plannedClaims, planTable } from "../../src/profile/plan_table.js";
import { randomWorkload } from "../../src/profile/random_workload.js";
import { batchLengths, lengthsOf, requestLengths, viewLengths } from "../../src/profile/row_lengths.js";

const GIB = 1024 ** 3;

describe("devices", () => {
  it("offer less than they are sold with, and less still for tensors", () => {
    for (const [name, soldGib] of [
      ["v100-16gb", 16],
      ["v100-32gb", 32],
      ["a100-40gb", 40],
      ["a100-80gb", 80],
      ["h100-80gb", 80],
      ["t4", 16],
      ["rtx3090", 24],
      ["rtx4090", 24],
    ] as const) {
      const target = planTarget(name);
      expect(target.engine).toBe("plan:cuda");
      expect(target.memoryBytes).toBeLessThan(soldGib * GIB);
      expect(target.memoryBytes).toBeGreaterThan(0.9 * soldGib * GIB);
      expect(tensorBudget(target)).toBe(target.memoryBytes - target.overheadBytes);
    }
  });

  it("may be a CPU of any memory", () => {
    expect(planTarget("cpu:1.5gb")).toMatchObject({ engine: "plan:cpu", memoryBytes: 1.5 * GIB });
  });

  it.each(["v100", "cpu", "cpu:gb", "cuda:0"])("%s is none", (name) => {
    expect(() => planTarget(name)).toThrow(
      expect.objectContaining({ code: "CONFIG_INVALID", message: expect.stringContaining("v100-32gb") }),
    );
  });
});

const T5 = { answers: "text", vocabulary: 4096, targetVocabulary: 4096, stopId: 1 } as const;

describe("rows of random ids", () => {
  const lengths = evenLengths(3, { source: 7, target: 4, edit: 9 }, { views: true, outScopeRequests: 5 });

  it("have the lengths that were asked for, and give them back", async () => {
    const workload = randomWorkload(lengths, T5, 0);
    const batch = await workload.trainBatch?.();
    expect(batch && batchLengths(batch)).toEqual(lengths.trainStep);
    expect(requestLengths(workload.requests())).toEqual(lengths.requests);
    const { source, options } = workload.questions("inScope");
    expect(lengthsOf(source)).toEqual([7, 7, 7]);
    expect(options.views && viewLengths(options.views)).toEqual(lengths.inScope.views);
    expect(options).toMatchObject({ maxNewTokens: 4, stopAtEnd: false });
    expect([...(options.goldEdits ?? [])]).toEqual([0, 1, 2]);
    expect([...(workload.questions("outScope").options.goldEdits ?? [])]).toEqual([-1, -1, -1]);
  });

  it("end answers as the family does, stay within the vocabulary, and are the same for a seed", () => {
    const { edits } = randomWorkload(lengths, T5, 0).requests();
    expect([3, 7, 11].map((at) => edits.target.ids[at])).toEqual([1, 1, 1]);
    const small = randomWorkload(lengths, { ...T5, vocabulary: 50 }, 0).requests();
    expect(Math.max(...small.edits.source.ids)).toBeLessThan(50);
    expect(randomWorkload(lengths, T5, 0).requests()).toEqual(randomWorkload(lengths, T5, 0).requests());
    const classes = evenLengths(3, { source: 7, target: 1, edit: 9 }, { views: false, outScopeRequests: 0 });
    const labels = randomWorkload(classes, { ...T5, answers: "label", targetVocabulary: 2 }, 0).requests();
    expect(Math.max(...labels.edits.target.ids)).toBeLessThan(2);
    expect(labels.outScope).toBeUndefined();
  });

  it("have no training step where the method has none", () => {
    expect(randomWorkload({ ...lengths, trainStep: null }, T5, 0).trainBatch).toBeNull();
  });
});

describe("the largest micro-batch", () => {
  it.each([
    [16, 15],
    [9, 8],
    [1, null],
    [0, null],
  ])("is found below 16 when %i and more do not fit", async (tooLarge, expected) => {
    const tried: number[] = [];
    const found = await largestBelow(16, async (n) => {
      tried.push(n);
      return n < tooLarge;
    });
    expect(found).toBe(expected);
    expect(tried.length).toBeLessThanOrEqual(4);
  });
});

const cost = (peakBytes: number) => ({ peakBytes, memoryMap: null, flops: null });

const cell = (change: Partial<CellPlan>): CellPlan => ({
  method: "mend",
  variant: "mend",
  model: "t5-large",
  K: 64,
  costs: { trainStep: cost(40 * GIB), inScope: cost(3 * GIB), outScope: cost(5 * GIB) },
  requiredBytes: 40.75 * GIB,
  fits: false,
  microBatch: { configured: 16, fitting: 5 },
  comparisons: [],
  ...change,
});

const plan = (...cells: CellPlan[]): Plan => ({
  schemaVersion: 1,
  kind: "plan",
  target: planTarget("v100-32gb"),
  cells,
  failures: [],
});

describe("tables", () => {
  it("say what is needed, whether it fits and what would", () => {
    const table = planTable(
      plan(
        cell({}),
        cell({ microBatch: { configured: 16, fitting: null } }),
        cell({ fits: true, microBatch: { configured: null, fitting: null } }),
      ),
    );
    const texts = table.rows.map(({ label, cells }) => [label, ...cells.map(({ value }) => value)]);
    expect(texts).toEqual([
      ["mend t5-large K=64", "40.0 GiB", "5.00 GiB", "40.8 GiB", "no", "5 fits, not 16"],
      ["mend t5-large K=64", "40.0 GiB", "5.00 GiB", "40.8 GiB", "no", "none fits"],
      ["mend t5-large K=64", "40.0 GiB", "5.00 GiB", "40.8 GiB", "yes", "–"],
    ]);
  });

  it("lay a plan beside a measurement, where there is one", () => {
    expect(comparisonTable(plan(cell({})))).toBeNull();
    const compared = comparisonTable(
      plan(cell({ comparisons: [{ operation: "trainStep", plannedBytes: 98, measuredBytes: 100 }] })),
    );
    expect(compared?.rows[0]).toMatchObject({
      label: "mend t5-large K=64, training step",
      cells: [{ value: "98 B" }, { value: "100 B" }, { value: "−2.0 %" }],
    });
  });

  it("hold the paper's claims on memory against the plan", () => {
    const seprog = cell({
      method: "seprog",
      variant: "seprog",
      costs: { trainStep: cost(10 * GIB), inScope: cost(4 * GIB), outScope: cost(4 * GIB) },
    });
    const [table, ...others] = plannedClaims(plan(seprog, cell({})));
    expect(others).toEqual([]);
    expect(table?.title).toBe("The paper's claims on costs · t5-large, planned for v100-32gb");
    expect(table?.rows.map(({ label, cells }) => [label, cells[0]?.value])).toEqual([
      ["SEPROG trains in about half the memory of the best gradient method", "confirmed, 4.00×"],
      ["SEPROG needs the least memory at inference", "refuted, 0.750×"],
    ]);
    expect(plannedClaims(plan(cell({})))).toEqual([]);
    expect(plannedClaims(plan(seprog, cell({ model: "t5-3b" })))).toEqual([]);
  });
});
