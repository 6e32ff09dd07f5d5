/**
 * A profile as Trace Event JSON, which Perfetto and chrome://tracing open: a process a record, its operations one after
 * the other; the engine's phases, the host's and the operations on tracks of their own, allocated bytes as a counter.
 * Format: «Trace Event Format», Google, 2016.
 */
import type { FlopCounts } from "../native/addon.js";
import type { OperationSamples, ProfileRecord } from "./record.js";

/** A slice: `ts` and `dur` are microseconds with three decimals. Slices of one track nest or are apart. */
export interface SliceEvent {
  readonly ph: "X";
  readonly pid: number;
  readonly tid: number;
  readonly ts: number;
  readonly dur: number;
  readonly name: string;
  readonly cat: string;
  readonly args?: Readonly<Record<string, number | string>>;
}

export interface CounterEvent {
  readonly ph: "C";
  readonly pid: number;
  readonly ts: number;
  readonly name: string;
  readonly args: Readonly<Record<string, number>>;
}

/** What a process or track is called. */
export interface NameEvent {
  readonly ph: "M";
  readonly pid: number;
  readonly tid?: number;
  readonly name: "process_name" | "thread_name";
  readonly args: { readonly name: string };
}

export type TraceEvent = SliceEvent | CounterEvent | NameEvent;

export interface Trace {
  readonly displayTimeUnit: "ms";
  readonly traceEvents: readonly TraceEvent[];
}

const TRACKS = { operation: 1, host: 2, engine: 3 } as const;
type Track = keyof typeof TRACKS;

/** Between one operation and the next. */
const GAP_NS = 1_000_000;
const NS_PER_MS = 1e6;

/** The repetition in detail of every operation that has one; names first, then in order of time. */
export function traceOf(records: readonly ProfileRecord[]): Trace {
  return { displayTimeUnit: "ms", traceEvents: records.flatMap((record, i) => recordEvents(record, i + 1)) };
}

function recordEvents(record: ProfileRecord, pid: number): TraceEvent[] {
  const { method, dataset, model, K } = record;
  const title = `${method} K=${K} on ${dataset === null ? "" : `${dataset}, `}${model}`;
  const names: NameEvent[] = [
    { ph: "M", pid, name: "process_name", args: { name: title } },
    ...Object.entries(TRACKS).map(
      ([name, tid]): NameEvent => ({ ph: "M", pid, tid, name: "thread_name", args: { name } }),
    ),
  ];
  const { trainStep, inScope, outScope } = record;
  const operations: [string, OperationSamples][] = [
    ...("notApplicable" in trainStep ? [] : [["training step", trainStep] as [string, OperationSamples]]),
    ["inference, in scope", inScope],
    ["inference, out of scope", outScope],
  ];
  const events: (SliceEvent | CounterEvent)[] = [];
  let startNs = 0;
  for (const [name, samples] of operations) {
    const { lengthNs, slices, counters } = operationEvents(name, samples, { pid, startNs });
    events.push(...slices, ...counters);
    startNs += lengthNs + GAP_NS;
  }
  return [...names, ...events.sort(byTime)];
}

/** A slice before those inside it, for viewers that take the order as it comes. */
function byTime(a: SliceEvent | CounterEvent, b: SliceEvent | CounterEvent): number {
  const length = (event: SliceEvent | CounterEvent): number => (event.ph === "X" ? event.dur : 0);
  return a.ts - b.ts || length(b) - length(a);
}

function operationEvents(
  name: string,
  { phases, timeline, flops }: OperationSamples,
  { pid, startNs }: { readonly pid: number; readonly startNs: number },
): { readonly lengthNs: number; readonly slices: SliceEvent[]; readonly counters: CounterEvent[] } {
  if (timeline === null) return { lengthNs: 0, slices: [], counters: [] };
  // Whole nanoseconds, so that a slice that ends with the one around it does so in the file as well.
  const toNs = (ms: number): number => startNs + Math.round(ms * NS_PER_MS);
  const slice = (
    track: Track,
    label: string,
    beginNs: number,
    endNs: number,
    args: SliceEvent["args"] = {},
  ): SliceEvent => ({
    ph: "X",
    pid,
    tid: TRACKS[track],
    ts: beginNs / 1e3,
    dur: (endNs - beginNs) / 1e3,
    name: label,
    cat: track,
    ...(Object.keys(args).length > 0 && { args }),
  });
  const slices = timeline.spanPhase.flatMap((index, i) => {
    const phase = phases[index];
    if (phase === undefined) return [];
    const beginNs = toNs(timeline.spanBeginMs[i] ?? 0);
    const endNs = toNs(timeline.spanEndMs[i] ?? 0);
    const track = phase.group === "host" ? "host" : "engine";
    const runs = timeline.spanPhase.filter((other) => other === index).length;
    return [slice(track, phase.name, beginNs, endNs, { group: phase.group, ...flopArgs(phase.flops, runs) })];
  });
  const endNs = slices.reduce(
    (last, { ts, dur }) => Math.max(last, Math.round((ts + dur) * 1e3)),
    toNs(timeline.sampleMs.at(-1) ?? 0),
  );
  return {
    lengthNs: endNs - startNs,
    slices: [slice("operation", name, startNs, endNs, flopArgs(flops, 1)), ...slices],
    counters: timeline.sampleMs.map((ms, i) => ({
      ph: "C",
      pid,
      ts: toNs(ms) / 1e3,
      name: "allocated bytes",
      args: { bytes: timeline.sampleBytes[i] ?? 0 },
    })),
  };
}

/** FLOPs are counted for a phase as a whole: of how many runs is said with them. */
function flopArgs(flops: FlopCounts | null, runs: number): Record<string, number> {
  if (flops === null) return {};
  const { forward, backward, secondOrder } = flops;
  return {
    "FLOPs forward": forward,
    "FLOPs backward": backward,
    "FLOPs second order": secondOrder,
    ...(runs > 1 && { "runs these FLOPs are of": runs }),
  };
}
