import { median } from "../metrics/median_ratio.js";
import type { ProfileRepetitions } from "./job.js";
import type { NotApplicable, OneOffCost, OperationSamples, PhaseSamples, ProfileRecord } from "./record.js";

/** How often one process of a cell measures, and in how many of them. */
export interface RoundPlan {
  readonly rounds: number;
  readonly repetitions: number;
}

/** As many repetitions a round; a few more in all than asked for where that does not come out even. */
export function roundPlan({ rounds, repetitions }: ProfileRepetitions): RoundPlan {
  const fewer = Math.min(rounds, repetitions);
  return { rounds: fewer, repetitions: Math.ceil(repetitions / fewer) };
}

/** The second round goes backwards, and so on: what drifts while a round runs then weighs on no method more than on another. */
export const inTurn = <Cell>(cells: readonly Cell[], round: number): readonly Cell[] =>
  round % 2 === 0 ? cells : cells.toReversed();

/**
 * One record of a cell's rounds, in their order: samples one after the other, peaks the highest, one-off costs their median.
 * What is counted and no sample (FLOPs, the timeline) is the first round's.
 */
export function mergeRounds(records: readonly [ProfileRecord, ...ProfileRecord[]]): ProfileRecord {
  const [first] = records;
  const of = (name: "inScope" | "outScope"): OperationSamples =>
    mergeOperations(records.map((record) => record[name]));
  const steps = records.map(({ trainStep }) => trainStep).filter(isApplicable);
  return {
    ...first,
    repetitions: records.reduce((sum, { repetitions }) => sum + repetitions, 0),
    trainStep: steps.length === records.length ? mergeOperations(steps) : first.trainStep,
    inScope: of("inScope"),
    outScope: of("outScope"),
    oneOff: first.oneOff.map((cost) => mergeCosts(cost, records)),
  };
}

const isApplicable = (step: OperationSamples | NotApplicable): step is OperationSamples =>
  !("notApplicable" in step);

function mergeOperations(operations: readonly OperationSamples[]): OperationSamples {
  const [first] = operations;
  if (first === undefined) throw new RangeError("expected a round");
  const names = [...new Set(operations.flatMap(({ phases }) => phases.map(({ name }) => name)))];
  const highest = operations.reduce((one, other) =>
    Math.max(...other.peakBytes) > Math.max(...one.peakBytes) ? other : one,
  );
  return {
    ...first,
    rounds: operations.length,
    wallMs: operations.flatMap(({ wallMs }) => wallMs),
    deviceMs: allOrNull(operations.map(({ deviceMs }) => deviceMs)),
    peakBytes: operations.flatMap(({ peakBytes }) => peakBytes),
    peakReservedBytes: operations.flatMap(({ peakReservedBytes }) => peakReservedBytes),
    processPeakBytes: allOrNull(operations.map(({ processPeakBytes }) => processPeakBytes)),
    memoryMap: highest.memoryMap,
    energyJ: allOrNull(operations.map(({ energyJ }) => energyJ)),
    phases: phasesInOrder(first, names).map((name) => mergePhases(name, operations)),
  };
}

/** Those of the first round keep their places: its timeline counts them. */
const phasesInOrder = ({ phases }: OperationSamples, names: readonly string[]): string[] => {
  const known = phases.map(({ name }) => name);
  return [...known, ...names.filter((name) => !known.includes(name))];
};

function mergePhases(name: string, operations: readonly OperationSamples[]): PhaseSamples {
  const found = operations.map(({ phases }) => phases.find((phase) => phase.name === name));
  const known = found.filter((phase) => phase !== undefined);
  const [first] = known;
  if (first === undefined) throw new RangeError(`expected a phase ${name}`);
  // A phase that a round did not come to took no time in it.
  const samples = (of: (phase: PhaseSamples) => readonly number[] | null) =>
    allOrNull(found.map((phase, i) => (phase ? of(phase) : (operations[i]?.wallMs.map(() => 0) ?? []))));
  return {
    ...first,
    wallMs: samples(({ wallMs }) => wallMs) ?? [],
    deviceMs: samples(({ deviceMs }) => deviceMs),
    peakBytes: highestOf(known.map(({ peakBytes }) => peakBytes)),
    peakReservedBytes: highestOf(known.map(({ peakReservedBytes }) => peakReservedBytes)),
    flops: first.flops,
  };
}

function mergeCosts(cost: OneOffCost, records: readonly ProfileRecord[]): OneOffCost {
  const all = records.flatMap(({ oneOff }) => oneOff.filter(({ name }) => name === cost.name));
  return {
    ...cost,
    wallMs: median(all.map(({ wallMs }) => wallMs)),
    peakBytes: highestOf(all.map(({ peakBytes }) => peakBytes)),
  };
}

function allOrNull(rounds: readonly (readonly number[] | null)[]): number[] | null {
  const known = rounds.filter((samples) => samples !== null);
  return known.length === rounds.length ? known.flat() : null;
}

function highestOf(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : Math.max(...known);
}
