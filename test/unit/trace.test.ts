import { describe, expect, it } from "vitest";
import type { OperationSamples, PhaseSamples, ProfileRecord } from "../../src/profile/record.js";
import { type SliceEvent, traceOf } from "../../src/profile/trace.js";
import { profileRecord } from "../support/profile_records.js";

const phase = (name: string, change: Partial<PhaseSamples> = {}): PhaseSamples => ({
  name,
  group: "forward",
  wallMs: [1],
  deviceMs: null,
  baselineBytes: 0,
  peakBytes: 10,
  peakReservedBytes: 10,
  flops: { forward: 100, backward: 20, secondOrder: 0 },
  ...change,
});

/** 0.1 and 0.3 are no binary fractions: ends that must meet would not, as sums of doubles. */
const operation: OperationSamples = {
  rounds: 1,
  wallMs: [1],
  deviceMs: null,
  baselineBytes: 0,
  peakBytes: [10],
  peakReservedBytes: [10],
  processPeakBytes: null,
  flops: { forward: 200, backward: 20, secondOrder: 0 },
  memoryMap: null,
  energyJ: null,
  phases: [phase("host.batch", { group: "host", flops: null }), phase("train.outer"), phase("train.head")],
  timeline: {
    // In the order of their ends, as the engine writes them.
    spanPhase: [0, 2, 2, 1],
    spanBeginMs: [0, 0.3, 0.5, 0.1 + 0.2],
    spanEndMs: [0.1, 0.4, 0.7, 0.7],
    sampleMs: [0.3, 0.35, 0.7],
    sampleBytes: [5, 12, 5],
  },
};

const record = (change: Partial<ProfileRecord> = {}): ProfileRecord =>
  profileRecord(
    "mend",
    4,
    {},
    { trainStep: operation, inScope: operation, outScope: { ...operation, timeline: null }, ...change },
  );

const slicesOf = (records: ProfileRecord[], tid: number, pid = 1): SliceEvent[] =>
  traceOf(records).traceEvents.flatMap((event) =>
    event.ph === "X" && event.tid === tid && event.pid === pid ? [event] : [],
  );

describe("a trace", () => {
  it("is what JSON holds, with the keys that the format asks for", () => {
    const trace = traceOf([record()]);
    expect(JSON.parse(JSON.stringify(trace))).toEqual(trace);
    expect(trace.displayTimeUnit).toBe("ms");
    for (const event of trace.traceEvents) {
      expect(event).toMatchObject({ name: expect.any(String), pid: expect.any(Number) });
      if (event.ph === "M") continue;
      expect(event.ts).toBeGreaterThanOrEqual(0);
      if (event.ph === "X") expect(event.dur).toBeGreaterThanOrEqual(0);
      else expect(event.args).toEqual({ bytes: expect.any(Number) });
    }
  });

  it("comes in order of time, after the names of its tracks", () => {
    const { traceEvents } = traceOf([record()]);
    const firstTimed = traceEvents.findIndex(({ ph }) => ph !== "M");
    expect(traceEvents.slice(0, firstTimed).map((event) => event.ph === "M" && event.args.name)).toEqual([
      "mend K=4 on zsre, t5-mini",
      "operation",
      "host",
      "engine",
    ]);
    const times = traceEvents.slice(firstTimed).map((event) => ("ts" in event ? event.ts : Number.NaN));
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });

  it("has slices that nest or are apart, to the nanosecond", () => {
    for (const tid of [1, 2, 3]) {
      const open: number[] = [];
      for (const { ts, dur } of slicesOf([record()], tid)) {
        const [begin, end] = [Math.round(ts * 1e3), Math.round((ts + dur) * 1e3)];
        while (open.length > 0 && (open.at(-1) ?? 0) <= begin) open.pop();
        expect(end).toBeLessThanOrEqual(open.at(-1) ?? Number.POSITIVE_INFINITY);
        open.push(end);
      }
    }
    expect(
      slicesOf([record()], 3)
        .slice(0, 3)
        .map(({ name }) => name),
    ).toEqual(["train.outer", "train.head", "train.head"]);
  });

  it("has the host's work and the operations on tracks of their own, one operation after the other", () => {
    expect(slicesOf([record()], 2).map(({ name }) => name)).toEqual(["host.batch", "host.batch"]);
    const operations = slicesOf([record()], 1);
    // Out of scope has no timeline.
    expect(operations.map(({ name }) => name)).toEqual(["training step", "inference, in scope"]);
    const [first, second] = operations;
    expect(first).toMatchObject({ ts: 0, dur: 700 });
    expect(second?.ts).toBe(1700);
  });

  it("counts allocated bytes when they changed", () => {
    const counters = traceOf([record()]).traceEvents.flatMap((event) =>
      event.ph === "C" ? [[event.ts, event.args.bytes]] : [],
    );
    expect(counters.slice(0, 3)).toEqual([
      [300, 5],
      [350, 12],
      [700, 5],
    ]);
  });

  it("says what FLOPs are of", () => {
    const [outer, head] = slicesOf([record()], 3);
    expect(outer?.args).toEqual({
      group: "forward",
      "FLOPs forward": 100,
      "FLOPs backward": 20,
      "FLOPs second order": 0,
    });
    expect(head?.args).toMatchObject({ "runs these FLOPs are of": 2 });
    expect(slicesOf([record()], 2)[0]?.args).toEqual({ group: "host" });
  });

  it("keeps records apart, and leaves out what a method does not have", () => {
    const untrained = record({ method: "ft", trainStep: { notApplicable: "nothing" } });
    expect(slicesOf([record(), untrained], 1, 2).map(({ name }) => name)).toEqual(["inference, in scope"]);
  });
});
