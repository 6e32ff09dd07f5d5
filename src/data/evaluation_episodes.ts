import { SeprogError } from "../errors.js";
import { drawOutScope, noisyPairs, type OutScopeOptions, rephrasePairs, selfPair } from "./episodes.js";
import { canBeChanged, canBeEdited, drawGivenLabel, drawKeptLabel } from "./labels.js";
import { Rng } from "./random.js";
import { RecordStream } from "./record_stream.js";
import type { EditRecord, Episode, EpisodeEdit } from "./types.js";

export interface EvaluationOptions {
  /** The same for every method and run, so that all see the same episodes. */
  readonly seed: number;
  /** Edits over all episodes of one K, at most about so many. */
  readonly maxEdits: number;
  readonly minEpisodes: number;
  /** Clean rephrases an edit is scored on, at most. */
  readonly rephrasesPerEdit: number;
  readonly outScope: OutScopeOptions;
  /** Probability that an edit asks for what the base model says already. */
  readonly keepShare: number;
  /** Leave out records that act by consequence whose edit the base model says already (SLAG). */
  readonly onlyWrong: boolean;
}

export const DEFAULT_EVALUATION: EvaluationOptions = {
  seed: 0,
  maxEdits: 2000,
  minEpisodes: 8,
  rephrasesPerEdit: 1,
  outScope: { hardShare: 0.5, phrasing: "any" },
  keepShare: 0,
  onlyWrong: false,
};

/** min(⌊N/K⌋, ⌈maxEdits/K⌉) episodes, at least `minEpisodes` (docs/data.md). */
export function episodeCount(
  recordCount: number,
  K: number,
  { maxEdits, minEpisodes }: Pick<EvaluationOptions, "maxEdits" | "minEpisodes"> = DEFAULT_EVALUATION,
): number {
  return Math.max(minEpisodes, Math.min(Math.floor(recordCount / K), Math.ceil(maxEdits / K)));
}

/** The questions about edits that are chosen. @throws SeprogError DATA_INVALID as `drawOutScope` */
export function episodeOfEdits(
  edits: readonly EpisodeEdit[],
  pool: readonly EditRecord[],
  options: Pick<EvaluationOptions, "rephrasesPerEdit" | "outScope">,
  rng: Rng,
): Episode {
  return {
    edits,
    inScope: edits.flatMap((edit, i) => [
      selfPair(edit, i),
      ...rng.shuffle(rephrasePairs(edit, i)).slice(0, options.rephrasesPerEdit),
      ...noisyPairs(edit, i),
    ]),
    outScope: drawOutScope(edits, pool, options.outScope, rng),
  };
}

/**
 * The fixed episodes for one K: canonical edit inputs, the records' own labels; per edit its own input, clean
 * rephrases and noisy ones, each with its kind; K out-of-scope pairs an episode.
 * @param records of the test split; those that no label would change are left out
 * @param pool where random out-of-scope pairs come from; default `records`
 * @throws SeprogError DATA_INVALID if there are fewer than K groups, or no record outside the edits
 */
export function evaluationEpisodes(
  records: readonly EditRecord[],
  K: number,
  options: Partial<EvaluationOptions> = {},
  pool: readonly EditRecord[] = records,
): Episode[] {
  if (!Number.isSafeInteger(K) || K < 1)
    throw new SeprogError(
      "CONFIG_INVALID",
      `expected a whole number of at least 1 for \`K\` but received ${K}`,
    );
  const settings = { ...DEFAULT_EVALUATION, ...options };
  const editable = records.filter(settings.onlyWrong ? canBeChanged : canBeEdited);
  const stream = new RecordStream(editable, Rng.fromSeed(settings.seed));
  const { rng } = stream;
  return Array.from({ length: episodeCount(editable.length, K, settings) }, () => {
    const edits = stream.take(K).map((record) => {
      const y_e = drawKeptLabel(record, settings.keepShare, rng) ?? drawGivenLabel(record, rng);
      return { record, x_e: record.x_e, y_e };
    });
    return episodeOfEdits(edits, pool, settings, rng);
  });
}
