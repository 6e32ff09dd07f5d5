import type { SequentialConfig } from "../config/evaluation.js";
import type { Episode } from "../data/types.js";
import { SeprogError } from "../errors.js";
import type { EditRequests, EpisodeBatch, Measurement, StepResult } from "../native/addon.js";
import type { EditCodec } from "../tokenizers/edit_codec.js";
import { oneInScopePerEdit } from "../training/episode_source.js";
import { type RepeatOptions, repeat } from "./repeat.js";
import type { EditedScorer, Subject } from "./scorers.js";
import { editsOfStep, sequenceSteps } from "./sequence.js";

export interface CostOptions extends RepeatOptions {
  readonly signal?: AbortSignal;
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

export interface InferenceInput<Edited extends EditedScorer> {
  readonly subject: Subject<Edited>;
  readonly episode: Episode;
  readonly codec: EditCodec;
  /** Absent: all edits at once. */
  readonly sequential?: SequentialConfig | undefined;
  readonly requestsOf: (edits: Episode) => EditRequests;
}

/**
 * What it costs to apply K edits, at once or one after the other, and to answer their K in-scope inputs in one batch
 * (metrics.md §7, b). Clocks are the engine's own, read after synchronising the device; peaks are counted from a reset
 * before each call.
 */
export async function measureInference<Edited extends EditedScorer>(
  { subject, episode, codec, sequential, requestsOf }: InferenceInput<Edited>,
  { maxNewTokens, ...options }: CostOptions & { readonly maxNewTokens: number },
): Promise<InferenceSamples> {
  const steps =
    sequential === undefined
      ? [episode]
      : sequenceSteps(episode.edits.length, sequential).map((step) => editsOfStep(episode, step));
  const requests = steps.map(requestsOf);
  const asked = oneInScopePerEdit(episode);
  const source = codec.sources(asked.map(({ x }) => x));
  const call = { measure: true, ...(options.signal && { signal: options.signal }) };
  const goldEdits = Int32Array.from(asked.keys());
  const views = codec.views(asked.map(({ x }) => x));
  const asking = { ...call, ...views, ...(subject.needsGoldEdits && { goldEdits }) };
  const samples = await repeat(options, async () => {
    let model: Edited | undefined;
    try {
      const edits: Measurement["total"][] = [];
      for (const part of requests) {
        const applied = await subject.apply(part, { ...call, ...(model && { onto: model }) });
        await model?.dispose();
        model = applied.model;
        edits.push(totalOf(applied.measurement));
      }
      if (model === undefined) throw new SeprogError("INTERNAL", "expected an episode of at least one edit");
      const generation = await model.generate(source, { maxNewTokens, ...codec.generation, ...asking });
      const answer = totalOf(generation.measurement);
      const editWallMs = edits.reduce((sum, { wallNs }) => sum + wallNs / 1e6, 0);
      return {
        wallMs: editWallMs + answer.wallNs / 1e6,
        editWallMs,
        peakBytes: Math.max(...edits.map(({ peakBytes }) => peakBytes), answer.peakBytes),
      };
    } finally {
      await model?.dispose();
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

function totalOf(measurement: Measurement | undefined): Measurement["total"] {
  if (measurement === undefined)
    throw new SeprogError("INTERNAL", "expected a measurement of a call that asked for one");
  return measurement.total;
}
