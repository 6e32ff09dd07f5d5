import type { FlopCounts, Measurement, PhaseRecord } from "../native/addon.js";
import { CALL_PHASE, phaseGroup, REST_PHASE } from "./phase_groups.js";
import type { OperationSamples, PhaseSamples, Timeline } from "./record.js";
import type { RecordedPart, Repetition } from "./recorder.js";

const MS = 1e-6;

/** A repetition with what was read around it. */
export interface SampledRepetition extends Repetition {
  readonly processPeakBytes: number | null;
  readonly energyJ: number | null;
}

/**
 * Makes the record of an operation: times and peaks of the repetitions with clocks, FLOPs and the timeline of the one in
 * detail. Phases are disjoint: each has what the phases inside it have not, `host.call` what passed between a call and its
 * work, `rest` what is left of the whole.
 */
export function assemble(
  repetitions: readonly SampledRepetition[],
  detail: Repetition | null,
): OperationSamples {
  const taken = repetitions.map(phasesOf);
  const counted = detail && phasesOf(detail);
  const names = inOrder([...taken, ...(counted ? [counted] : [])].map((phases) => [...phases.keys()]));
  const calls = repetitions.map(measurementsOf);
  const peaks = calls.map((measurements) => most(measurements, ({ total }) => total.peakBytes));
  const highest = calls.flat().reduce<Measurement | null>(higher, null);
  return {
    rounds: 1,
    wallMs: repetitions.map(({ wallMs }) => wallMs),
    deviceMs: allOrNull(
      calls.map((measurements) => sumOrNull(measurements.map(({ total }) => total.deviceNs))),
    ),
    baselineBytes: calls.at(-1)?.[0]?.total.baselineBytes ?? 0,
    peakBytes: peaks,
    peakReservedBytes: calls.map((measurements) =>
      most(measurements, ({ total }) => total.peakReservedBytes),
    ),
    processPeakBytes: present(repetitions.map(({ processPeakBytes }) => processPeakBytes)),
    flops: detail && sumFlops(measurementsOf(detail).flatMap(({ total, phases }) => [total, ...phases])),
    memoryMap: highest?.total.rolesAtPeak ?? null,
    energyJ: present(repetitions.map(({ energyJ }) => energyJ)),
    phases: names.map((name) =>
      phaseSamples(
        name,
        taken.map((phases) => phases.get(name)),
        counted?.get(name),
      ),
    ),
    timeline: detail && timelineOf(detail, names),
  };
}

/** One phase of one repetition, without the phases inside it. */
interface PhaseOnce {
  wallMs: number;
  deviceNs: number | null;
  /** Of phases of the engine. */
  memory: Pick<PhaseRecord, "baselineBytes" | "peakBytes" | "peakReservedBytes"> | null;
  flops: FlopCounts | null;
}

function phasesOf({ wallMs, parts }: Repetition): Map<string, PhaseOnce> {
  const phases = new Map<string, PhaseOnce>();
  const calls = parts.filter(({ measurement }) => measurement !== null);
  const hasClock = calls.some(({ measurement }) => measurement?.total.deviceNs != null);
  const outside = (ms: number): PhaseOnce => ({
    wallMs: ms,
    deviceNs: hasClock ? 0 : null,
    memory: null,
    flops: null,
  });
  for (const { name, beginMs, endMs, measurement } of parts) {
    if (measurement === null) addTo(phases, name, outside(endMs - beginMs));
    for (const phase of measurement?.phases ?? [])
      addTo(phases, `${name}.${phase.name}`, {
        wallMs: phase.selfWallNs * MS,
        deviceNs: phase.selfDeviceNs,
        memory: phase,
        flops: phase.flops,
      });
  }
  if (calls.length > 0) addTo(phases, CALL_PHASE, outside(sum(calls.map(waitMs))));
  const totals = calls.flatMap(({ measurement }) => measurement?.total ?? []);
  addTo(phases, REST_PHASE, {
    wallMs: wallMs - sum([...phases.values()].map((phase) => phase.wallMs)),
    deviceNs: sumOrNull(totals.map(({ selfDeviceNs }) => selfDeviceNs)),
    memory: null,
    flops: sumFlops(totals),
  });
  return phases;
}

/** From the call to the engine's work and back. */
const waitMs = ({ beginMs, endMs, measurement }: RecordedPart): number =>
  endMs - beginMs - (measurement?.total.wallNs ?? 0) * MS;

function addTo(phases: Map<string, PhaseOnce>, name: string, more: PhaseOnce): void {
  const known = phases.get(name);
  if (known === undefined) {
    phases.set(name, more);
    return;
  }
  known.wallMs += more.wallMs;
  known.deviceNs = sumOrNull([known.deviceNs, more.deviceNs]);
  known.flops = sumFlops([known, more]);
  known.memory = more.memory ?? known.memory;
}

function phaseSamples(
  name: string,
  taken: readonly (PhaseOnce | undefined)[],
  counted: PhaseOnce | undefined,
): PhaseSamples {
  // A phase that a repetition did not come to took no time in it.
  const known = taken.flatMap((phase) => phase ?? []);
  const memory = known.flatMap((phase) => phase.memory ?? []);
  const hasClock = known.some(({ deviceNs }) => deviceNs !== null);
  return {
    name,
    group: phaseGroup(name),
    wallMs: taken.map((phase) => phase?.wallMs ?? 0),
    deviceMs: hasClock ? taken.map((phase) => (phase?.deviceNs ?? 0) * MS) : null,
    baselineBytes: memory.at(-1)?.baselineBytes ?? null,
    peakBytes: memory.length > 0 ? most(memory, ({ peakBytes }) => peakBytes) : null,
    peakReservedBytes: memory.length > 0 ? most(memory, ({ peakReservedBytes }) => peakReservedBytes) : null,
    flops: counted?.flops ?? null,
  };
}

function timelineOf({ parts }: Repetition, names: readonly string[]): Timeline {
  const spans = parts.flatMap(({ name, beginMs, endMs, measurement }) => {
    if (measurement === null) return [{ phase: names.indexOf(name), beginMs, endMs }];
    const { detail, phases } = measurement;
    const offsetMs = startMs({ name, beginMs, endMs, measurement });
    return Array.from(detail?.spanPhase ?? [], (phase, i) => ({
      phase: names.indexOf(`${name}.${phases[phase]?.name}`),
      beginMs: offsetMs + (detail?.spanBeginNs[i] ?? 0) * MS,
      endMs: offsetMs + (detail?.spanEndNs[i] ?? 0) * MS,
    }));
  });
  const samples = parts.flatMap((part) => {
    const detail = part.measurement?.detail;
    return Array.from(detail?.sampleNs ?? [], (ns, i) => ({
      ms: startMs(part) + ns * MS,
      bytes: detail?.sampleBytes[i] ?? 0,
    }));
  });
  return {
    spanPhase: spans.map(({ phase }) => phase),
    spanBeginMs: spans.map(({ beginMs }) => beginMs),
    spanEndMs: spans.map(({ endMs }) => endMs),
    sampleMs: samples.map(({ ms }) => ms),
    sampleBytes: samples.map(({ bytes }) => bytes),
  };
}

/** When the engine began to work on a call. */
const startMs = ({ beginMs, measurement }: RecordedPart): number =>
  beginMs + (measurement?.queuedNs ?? 0) * MS;

const measurementsOf = ({ parts }: Repetition): Measurement[] =>
  parts.flatMap(({ measurement }) => measurement ?? []);

const higher = (highest: Measurement | null, one: Measurement): Measurement =>
  highest !== null && highest.total.peakBytes >= one.total.peakBytes ? highest : one;

const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);

const most = <Item>(items: readonly Item[], of: (item: Item) => number): number =>
  Math.max(0, ...items.map(of));

/** Null unless any of them is there. */
function sumOrNull(values: readonly (number | null)[]): number | null {
  const known = values.flatMap((value) => value ?? []);
  return known.length > 0 ? sum(known) : null;
}

function present(values: readonly (number | null)[]): number[] | null {
  const known = values.flatMap((value) => value ?? []);
  return known.length === values.length && known.length > 0 ? known : null;
}

const allOrNull = (deviceNs: readonly (number | null)[]): number[] | null =>
  present(deviceNs)?.map((ns) => ns * MS) ?? null;

function sumFlops(items: readonly { readonly flops: FlopCounts | null }[]): FlopCounts | null {
  const known = items.flatMap(({ flops }) => flops ?? []);
  if (known.length === 0) return null;
  return {
    forward: sum(known.map(({ forward }) => forward)),
    backward: sum(known.map(({ backward }) => backward)),
    secondOrder: sum(known.map(({ secondOrder }) => secondOrder)),
  };
}

/** Names of all lists, each once, `rest` and the wait for calls at the end. */
function inOrder(lists: readonly (readonly string[])[]): string[] {
  const last = [CALL_PHASE, REST_PHASE];
  const names = [...new Set(lists.flat())];
  return [...names.filter((name) => !last.includes(name)), ...last.filter((name) => names.includes(name))];
}
