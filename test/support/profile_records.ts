// Profiles as the runner writes them, with round numbers.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { OperationSamples, PhaseGroup, PhaseSamples, ProfileRecord } from "../../src/profile/record.js";
import { ENVIRONMENT } from "./run_fixture.js";

const MiB = 2 ** 20;

/** A phase of `ms` in each repetition, a little more in every second. */
export function phase(
  name: string,
  group: PhaseGroup,
  ms: number,
  change: Partial<PhaseSamples> = {},
): PhaseSamples {
  return {
    name,
    group,
    wallMs: samples(ms),
    deviceMs: null,
    baselineBytes: 40 * MiB,
    peakBytes: 60 * MiB,
    peakReservedBytes: 64 * MiB,
    flops: { forward: ms * 1e6, backward: 0, secondOrder: 0 },
    ...change,
  };
}

/** 20 repetitions around `ms`: the median is `ms` itself. */
export const samples = (ms: number): number[] =>
  Array.from({ length: 20 }, (_, i) => ms * (1 + (i % 2 === 0 ? 0.01 : -0.01) * ((i >> 1) % 5)));

/** An operation of these phases; its time is their sum. */
export function operation(
  phases: readonly PhaseSamples[],
  peakBytes: number,
  change: Partial<OperationSamples> = {},
): OperationSamples {
  const wallMs = (phases[0]?.wallMs ?? []).map((_, i) =>
    phases.reduce((sum, { wallMs: own }) => sum + (own[i] ?? 0), 0),
  );
  const spans = phases.map(({ wallMs: [ms = 0] }) => ms);
  const ends = spans.map((_, i) => spans.slice(0, i + 1).reduce((sum, ms) => sum + ms, 0));
  const endMs = ends.at(-1) ?? 0;
  return {
    rounds: 1,
    wallMs,
    deviceMs: null,
    baselineBytes: 40 * MiB,
    peakBytes: wallMs.map(() => peakBytes),
    peakReservedBytes: wallMs.map(() => peakBytes + 4 * MiB),
    processPeakBytes: wallMs.map((_, i) => peakBytes + (200 + i) * MiB),
    flops: { forward: 3e9, backward: 5e9, secondOrder: 2e9 },
    memoryMap: {
      weights: 40 * MiB,
      activations: (peakBytes - 40 * MiB) * 0.7,
      gradients: (peakBytes - 40 * MiB) * 0.3,
    },
    energyJ: null,
    phases,
    timeline: {
      spanPhase: phases.map((_, i) => i),
      spanBeginMs: ends.map((end, i) => end - (spans[i] ?? 0)),
      spanEndMs: ends,
      sampleMs: Array.from({ length: 1000 }, (_, i) => (endMs * i) / 999),
      sampleBytes: Array.from(
        { length: 1000 },
        (_, i) => 40 * MiB + (peakBytes - 40 * MiB) * Math.sin(i / 318) ** 2,
      ),
    },
    ...change,
  };
}

/** What a method's operations take; inference out of scope takes half of inference in scope. */
export interface Size {
  readonly trainMs: number;
  readonly trainBytes: number;
  readonly inferMs: number;
  readonly inferBytes: number;
}

const SIZE: Size = { trainMs: 100, trainBytes: 200 * MiB, inferMs: 50, inferBytes: 100 * MiB };

export function profileRecord(
  method: string,
  K: number,
  size: Partial<Size> = {},
  change: Partial<ProfileRecord> = {},
): ProfileRecord {
  const { trainMs, trainBytes, inferMs, inferBytes } = { ...SIZE, ...size };
  const host = { baselineBytes: null, peakBytes: null, peakReservedBytes: null, flops: null };
  const inference = (ms: number): OperationSamples =>
    operation(
      [
        phase("host.batch", "host", 0.1 * ms, host),
        phase("apply.edit_encode", "edit", 0.3 * ms),
        phase("answer.encode", "answer", 0.2 * ms),
        phase("answer.decode", "answer", 0.3 * ms),
        phase("rest", "rest", 0.1 * ms, host),
      ],
      inferBytes,
    );
  return {
    schemaVersion: 1,
    kind: "profile",
    method,
    variant: method,
    dataset: "zsre",
    model: "t5-mini",
    K,
    seed: 0,
    device: "cpu",
    dtype: "fp32",
    threads: 1,
    tokens: { edit: 20 * K, source: 12 * K, target: 4 * K },
    parameters: { model: 11_234_567, editor: 1_234_567 },
    editor: "trained",
    warmUps: 5,
    repetitions: 20,
    energy: { notAvailable: "no RAPL counters" },
    trainStep: operation(
      [
        phase("host.batch", "host", 0.05 * trainMs, host),
        phase("train.forward", "forward", 0.35 * trainMs),
        phase("train.backward", "backward", 0.5 * trainMs),
        phase("train.update", "update", 0.1 * trainMs),
      ],
      trainBytes,
    ),
    inScope: inference(inferMs),
    outScope: inference(inferMs / 2),
    oneOff: [
      { name: "load_model", wallMs: 500, peakBytes: 40 * MiB, source: "measured" },
      { name: "train_editor", wallMs: 100_000, peakBytes: trainBytes, source: "steps × step", steps: 1000 },
    ],
    successes: Math.round(0.75 * K),
    takenInScope: { inScope: K, outScope: 0 },
    quality: null,
    rows: {
      trainStep: null,
      requests: { edits: { source: [12], target: [4] }, editText: [20] },
      inScope: { source: [12], answer: 4 },
      outScope: { source: [12], answer: 4 },
    },
    receipt: {
      code: { version: "0.1.0", commit: "0123456789abcdef0123456789abcdef01234567" },
      configHash: "c0ffee00c0ffee00",
      dataHash: "da7ada7ada7ada7a",
      tokenizerHash: "70ce70ce70ce70ce",
      modelChecksum: "3333333333333333",
      editorFingerprint: "4444444444444444",
      outputHash: `5555555555555555${method}`,
      machine: { cpu: "Example CPU", device: "cpu", threads: 1 },
      libtorch: "2.10.0",
      matmul: "oneDNN",
      kernels: "fused",
      seed: 0,
      deterministic: false,
    },
    ...change,
  };
}

/** A record of a method that learns nothing before it edits. */
export const untrained = (method: string, K: number, size: Partial<Size> = {}): ProfileRecord =>
  profileRecord(method, K, size, {
    trainStep: { notApplicable: "nothing is trained before the first edit" },
    editor: "untrained",
    oneOff: [{ name: "load_model", wallMs: 500, peakBytes: 40 * MiB, source: "measured" }],
  });

/** A finished profile run. */
export function writeProfileRun(folder: string, records: readonly ProfileRecord[]): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "config.json"), "{}");
  writeFileSync(join(folder, "environment.json"), JSON.stringify(ENVIRONMENT));
  records.forEach((record, i) => {
    const own = join(folder, "profiles", `${i}-K${record.K}`);
    mkdirSync(own, { recursive: true });
    writeFileSync(join(own, "profile.json"), JSON.stringify(record));
  });
}
