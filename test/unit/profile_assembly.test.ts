// How repetitions of an operation become a record, on an engine that is none.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import type { Measurement, PhaseRecord } from "../../src/native/addon.js";
import { assemble } from "../../src/profile/assemble.js";
import { phaseGroup, TRAIN_PHASES } from "../../src/profile/phase_groups.js";
import { type Operation, recordOnce } from "../../src/profile/recorder.js";

interface FakePhase {
  readonly name: string;
  readonly ns: number;
  readonly selfNs?: number;
  readonly peak?: number;
  readonly flops?: number;
}

function phaseRecord({ name, ns, selfNs = ns, peak = 0, flops }: FakePhase, hasClock: boolean): PhaseRecord {
  return {
    name,
    calls: 1,
    wallNs: ns,
    selfWallNs: selfNs,
    deviceNs: hasClock ? ns / 2 : null,
    selfDeviceNs: hasClock ? selfNs / 2 : null,
    flops: flops === undefined ? null : { forward: flops, backward: 2 * flops, secondOrder: 0 },
    rolesAtPeak: { weights: 100, activations: peak },
    baselineBytes: 100,
    peakBytes: 100 + peak,
    peakReservedBytes: 200 + peak,
  };
}

const measurement = (
  total: Omit<FakePhase, "name">,
  phases: readonly FakePhase[],
  { hasClock = false, queuedNs = 0 } = {},
): Measurement => ({
  total: phaseRecord({ name: "total", ...total }, hasClock),
  queuedNs,
  phases: phases.map((phase) => phaseRecord(phase, hasClock)),
});

/** A clock that only work moves. */
class Clock {
  ms = 0;
  readonly now = (): number => this.ms;
  /** Work that takes so long. */
  readonly take =
    <T>(ms: number, result: T) =>
    async (): Promise<T> => {
      this.ms += ms;
      return result;
    };
}

const sumAt = (lists: readonly (readonly number[])[], i: number): number =>
  lists.reduce((sum, list) => sum + (list[i] ?? Number.NaN), 0);

const read = { processPeakBytes: null, energyJ: null };

describe("an operation of host work and two calls", () => {
  const operationOn =
    (clock: Clock, applied: Measurement, answered: Measurement): Operation =>
    async (timer) => {
      await timer.host("host.batch", clock.take(3, undefined));
      await timer.call("apply", clock.take(10, { measurement: applied }));
      await timer.call("answer", clock.take(20, { measurement: answered }));
      clock.ms += 1;
    };
  // Nested: 2 ms of `outer` are those of `inner`; of the total 1 ms is nobody's.
  const applied = measurement({ ns: 8e6, selfNs: 1e6, peak: 5 }, [
    { name: "outer", ns: 7e6, selfNs: 5e6, peak: 5 },
    { name: "inner", ns: 2e6, peak: 4 },
  ]);
  const answered = (ns: number, peak: number) =>
    measurement({ ns, selfNs: 0, peak }, [{ name: "decode", ns, peak }], { queuedNs: 500_000 });

  const repetitions = async () => {
    const all = [];
    for (const [ns, peak] of [
      [19e6, 30],
      [18e6, 40],
    ] as const) {
      const clock = new Clock();
      all.push({
        ...(await recordOnce(operationOn(clock, applied, answered(ns, peak)), true, clock.now)),
        ...read,
      });
    }
    return all;
  };

  it("is split without a remainder", async () => {
    const samples = assemble(await repetitions(), null);
    expect(samples.wallMs).toEqual([34, 34]);
    expect(samples.phases.map(({ name }) => name)).toEqual([
      "host.batch",
      "apply.outer",
      "apply.inner",
      "answer.decode",
      "host.call",
      "rest",
    ]);
    for (const i of [0, 1])
      expect(
        sumAt(
          samples.phases.map(({ wallMs }) => wallMs),
          i,
        ),
      ).toBeCloseTo(samples.wallMs[i] ?? 0, 9);
    const of = Object.fromEntries(samples.phases.map(({ name, wallMs }) => [name, wallMs]));
    expect(of["apply.outer"]).toEqual([5, 5]);
    // What passed on the way: 10 − 8 and 20 − 19 ms, then 20 − 18.
    expect(of["host.call"]?.[0]).toBeCloseTo(3, 9);
    expect(of["host.call"]?.[1]).toBeCloseTo(4, 9);
    // The total's own millisecond and the one after the calls.
    expect(of.rest?.[0]).toBeCloseTo(2, 9);
  });

  it("has the peaks of its calls, and the roles at the highest", async () => {
    const samples = assemble(await repetitions(), null);
    expect(samples.baselineBytes).toBe(100);
    expect(samples.peakBytes).toEqual([130, 140]);
    expect(samples.peakReservedBytes).toEqual([230, 240]);
    expect(samples.memoryMap).toEqual({ weights: 100, activations: 40 });
    const decode = samples.phases.find(({ name }) => name === "answer.decode");
    expect(decode).toMatchObject({ baselineBytes: 100, peakBytes: 140, peakReservedBytes: 240 });
    expect(samples.phases[0]).toMatchObject({ name: "host.batch", peakBytes: null, deviceMs: null });
  });

  it("adds device times up too", async () => {
    const clock = new Clock();
    const call = measurement({ ns: 8e6, selfNs: 2e6 }, [{ name: "forward", ns: 6e6 }], { hasClock: true });
    const operation: Operation = async (timer) => {
      await timer.host("host.batch", clock.take(1, undefined));
      await timer.call("train", clock.take(9, { measurement: call }));
    };
    const samples = assemble([{ ...(await recordOnce(operation, true, clock.now)), ...read }], null);
    expect(samples.deviceMs).toEqual([4]);
    expect(
      sumAt(
        samples.phases.map(({ deviceMs }) => deviceMs ?? []),
        0,
      ),
    ).toBeCloseTo(4, 12);
  });
});

describe("detail", () => {
  it("gives FLOPs that add up and a timeline from the operation's start", async () => {
    const clock = new Clock();
    const call: Measurement = {
      ...measurement({ ns: 8e6, selfNs: 2e6, flops: 5 }, [{ name: "backward", ns: 6e6, flops: 70 }], {
        queuedNs: 1e6,
      }),
      detail: {
        spanPhase: Float64Array.of(0),
        spanBeginNs: Float64Array.of(1e6),
        spanEndNs: Float64Array.of(7e6),
        sampleNs: Float64Array.of(0, 8e6),
        sampleBytes: Float64Array.of(100, 300),
      },
    };
    const operation: Operation = async (timer) => {
      await timer.host("host.batch", clock.take(4, undefined));
      await timer.call("train", clock.take(10, { measurement: call }));
    };
    const detail = await recordOnce(operation, "detail", clock.now);
    const samples = assemble([{ ...detail, ...read }], detail);
    expect(samples.flops).toEqual({ forward: 75, backward: 150, secondOrder: 0 });
    const counted = samples.phases.map(({ name, flops }) => [name, flops?.forward ?? null]);
    expect(counted).toEqual([
      ["host.batch", null],
      ["train.backward", 70],
      ["host.call", null],
      ["rest", 5],
    ]);
    expect(samples.timeline).toEqual({
      spanPhase: [0, 1],
      spanBeginMs: [0, 6],
      spanEndMs: [4, 12],
      sampleMs: [5, 13],
      sampleBytes: [100, 300],
    });
  });
});

describe("a repetition", () => {
  it("cleans up after itself, also when it fails, and demands what it asked for", async () => {
    const done: string[] = [];
    const failing: Operation = async (timer) => {
      timer.afterwards(async () => void done.push("first"));
      timer.afterwards(async () => void done.push("second"));
      await timer.call("train", async () => ({}));
    };
    await expect(recordOnce(failing, true)).rejects.toMatchObject({ code: "INTERNAL" });
    expect(done).toEqual(["second", "first"]);
  });
});

describe("groups of phases", () => {
  it("are known for every phase of the core", () => {
    const core = fileURLToPath(new URL("../../native/core", import.meta.url));
    const files = readdirSync(core, { recursive: true, withFileTypes: true }).filter(
      (entry) => entry.isFile() && entry.name.endsWith(".cpp") && !entry.parentPath.includes("/tests"),
    );
    const named = files.flatMap((file) =>
      [...readFileSync(join(file.parentPath, file.name), "utf8").matchAll(/\bphase\("(\w+)"\)/g)].map(
        (match) => match[1] ?? "",
      ),
    );
    // These only come where edits are applied or questions answered.
    const others = ["classify", "decode", "encode", "inner_fit", "prompt", "retrieve"];
    expect(new Set(named)).toEqual(new Set([...Object.keys(TRAIN_PHASES), ...others]));
  });

  it("tell what is done by the call and the phase", () => {
    const groups = ["train.update", "train.inner", "apply.inner_fit", "answer.decode", "host.batch", "rest"];
    expect(groups.map(phaseGroup)).toEqual(["update", "edit", "edit", "answer", "host", "rest"]);
    const passes = ["train.outer_backward", "train.inner_backward", "train.unheard_backward"];
    expect(passes.map(phaseGroup)).toEqual(["backward", "edit", "rest"]);
  });
});
