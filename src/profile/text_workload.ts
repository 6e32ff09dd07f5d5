import { Rng } from "../data/random.js";
import type { EditRecord, Episode } from "../data/types.js";
import { matchesAny } from "../metrics/text.js";
import type { EditRequests, EpisodeBatch } from "../native/addon.js";
import type { EditCodec } from "../tokenizers/edit_codec.js";
import { unpackRows } from "../tokenizers/token_rows.js";
import { oneInScopePerEdit, type TrainingEpisodes } from "../training/episode_source.js";
import type { Questions, Workload } from "./workload.js";

/** Training records a sampler draws from here, beside those it needs for K edits: time a cell spends before it measures. */
const RECORDS_AT_LEAST = 512;

/** Enough records to sample episodes of K edits from, always the same ones. */
export function someRecords(records: readonly EditRecord[], K: number): readonly EditRecord[] {
  return Rng.fromSeed(0)
    .shuffle([...records])
    .slice(0, Math.max(RECORDS_AT_LEAST, 8 * K));
}

export interface TextWorkloadInput {
  readonly codec: EditCodec;
  /** With the edits and questions of the inference. */
  readonly episode: Episode;
  readonly requestsOf: (edits: Episode) => EditRequests;
  /** Null for methods without a training step. */
  readonly training: TrainingEpisodes | null;
  readonly maxNewTokens: number;
}

/** Edits of a data set, written as tokens every time anew, as training and inference do. */
export async function textWorkload({
  codec,
  episode,
  requestsOf,
  training,
  maxNewTokens,
}: TextWorkloadInput): Promise<Workload> {
  const about = oneInScopePerEdit(episode);
  const others = episode.outScope.slice(0, episode.edits.length);
  const questions = (xs: readonly string[], gold: (row: number) => number): Questions => ({
    source: codec.sources(xs),
    options: {
      maxNewTokens,
      ...codec.generation,
      ...codec.views(xs),
      goldEdits: Int32Array.from(xs.keys(), gold),
    },
  });
  return {
    trainBatch: training && (await sameEpisode(training)),
    requests: () => requestsOf(episode),
    questions: (asked) =>
      asked === "inScope"
        ? questions(
            about.map(({ x }) => x),
            (i) => i,
          )
        : questions(
            others.map(({ x }) => x),
            () => -1,
          ),
    successes: ({ tokens }) =>
      unpackRows(tokens).filter((ids, i) => matchesAny(codec.answer(ids), [about[i]?.y ?? ""])).length,
  };
}

/** Draws one and the same episode again and again. */
async function sameEpisode(training: TrainingEpisodes): Promise<() => Promise<EpisodeBatch>> {
  const { stateAfter } = await training.next();
  return async () => {
    training.restore(stateAfter);
    return (await training.next()).batch;
  };
}
