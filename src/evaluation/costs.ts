import type { Episode } from "../data/types.js";
import { SeprogError } from "../errors.js";
import type { EpisodeBatch, Measurement, StepResult } from "../native/addon.js";
import type { EditCodec } from "../tokenizers/edit_codec.js";
import { oneInScopePerEdit } from "../training/episode_source.js";
import type { OnEvent } from "../training/events.js";
import { type EditedScorer, editRequests, type Subject } from "./scorers.js";

export interface Repetitions {
  /** Discarded ones before the first that counts. */
  readonly warmUps: number;
  readonly repetitions: number;
}

export interface CostOptions extends Repetitions {
  readonly signal?: AbortSignal;
  readonly onEvent?: OnEvent;
}

export interface InferenceSamples {
  /** Applying the K edits plus predicting the K in-scope inputs. */
  readonly wallMs: readonly number[];
  /** Of which applying the edits. */
  readonly editWallMs: readonly number[];
  readonly peakBytes: readonly number[];
}

export interface StepSamples {
  readonly wallMs: readonly number[];
  readonly peakBytes: readonly number[];
}

/**
 * What it costs to apply K edits and to answer their K in-scope inputs in one batch (metrics.md §7, b). Clocks are the
 * engine's own, read after synchronising the device; peaks are counted from a reset before each call.
 */
export async function measureInference<Edited extends EditedScorer>(
  subject: Subject<Edited>,
  episode: Episode,
  codec: EditCodec,
  { maxNewTokens, ...options }: CostOptions & { readonly maxNewTokens: number },
): Promise<InferenceSamples> {
  const requests = editRequests(episode, codec);
  const asked = oneInScopePerEdit(episode);
  const source = codec.sources(asked.map(({ x }) => x));
  const call = { measure: true, ...(options.signal && { signal: options.signal }) };
  const goldEdits = Int32Array.from(asked.keys());
  const asking = { ...call, ...(subject.needsGoldEdits && { goldEdits }) };
  const samples = await repeat(options, async () => {
    const { model, measurement } = await subject.apply(requests, call);
    try {
      const generation = await model.generate(source, { maxNewTokens, ...codec.generation, ...asking });
      const edit = totalOf(measurement);
      const answer = totalOf(generation.measurement);
      return {
        wallMs: (edit.wallNs + answer.wallNs) / 1e6,
        editWallMs: edit.wallNs / 1e6,
        peakBytes: Math.max(edit.peakBytes, answer.peakBytes),
      };
    } finally {
      await model.dispose();
    }
  });
  return {
    wallMs: samples.map(({ wallMs }) => wallMs),
    editWallMs: samples.map(({ editWallMs }) => editWallMs),
    peakBytes: samples.map(({ peakBytes }) => peakBytes),
  };
}

/** An editor made for the measurement alone: its steps must not change the one that is evaluated. */
export interface ScratchEditor {
  trainStep(
    batch: EpisodeBatch,
    options: { readonly learningRate: number; readonly measure: true; readonly signal?: AbortSignal },
  ): Promise<StepResult>;
}

/**
 * What one optimiser step costs on one episode of K edits: edit, losses, backward, update (metrics.md §7, a). The cost
 * does not depend on the weights' values, so a fresh editor and a learning rate of next to nothing serve.
 */
export async function measureTrainStep(
  scratch: ScratchEditor,
  batch: EpisodeBatch,
  options: CostOptions,
): Promise<StepSamples> {
  const samples = await repeat(options, async () => {
    const { measurement } = await scratch.trainStep(batch, {
      learningRate: 1e-9,
      measure: true,
      ...(options.signal && { signal: options.signal }),
    });
    return totalOf(measurement);
  });
  return {
    wallMs: samples.map(({ wallNs }) => wallNs / 1e6),
    peakBytes: samples.map(({ peakBytes }) => peakBytes),
  };
}

async function repeat<T>(
  { warmUps, repetitions, onEvent }: CostOptions,
  once: () => Promise<T>,
): Promise<T[]> {
  const startedMs = performance.now();
  const samples: T[] = [];
  for (let i = 0; i < warmUps + repetitions; i++) {
    const sample = await once();
    if (i >= warmUps) samples.push(sample);
    onEvent?.({
      type: "progress",
      phase: "measure",
      step: i + 1,
      total: warmUps + repetitions,
      figures: {},
      elapsedMs: performance.now() - startedMs,
      etaMs: ((performance.now() - startedMs) / (i + 1)) * (warmUps + repetitions - i - 1),
    });
  }
  return samples;
}

function totalOf(measurement: Measurement | undefined): Measurement["total"] {
  if (measurement === undefined)
    throw new SeprogError("INTERNAL", "expected a measurement of a call that asked for one");
  return measurement.total;
}
