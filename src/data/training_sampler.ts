import { SeprogError } from "../errors.js";
import {
  drawEditInput,
  drawOutScope,
  noisyPairs,
  type OutScopeOptions,
  type Phrasing,
  rephrasePairs,
  selfPair,
} from "./episodes.js";
import { canBeEdited, drawGivenLabel, drawKeptLabel, LabelPool } from "./labels.js";
import { Rng } from "./random.js";
import { RecordStream, type RecordStreamState } from "./record_stream.js";
import type { EditRecord, Episode, EpisodeEdit, EpisodeInScope } from "./types.js";

/** The K of the evaluation, among which `trainK: "mixed"` draws. */
export const STANDARD_K: readonly number[] = [1, 4, 10, 20, 64, 128];

export interface TrainingSamplerOptions {
  readonly seed: number;
  /** Edits an episode, or a draw from `mixedK` each step. */
  readonly trainK: number | "mixed";
  readonly mixedK: readonly number[];
  /** A step packs max(1, round(editsPerStep / K)) episodes. */
  readonly editsPerStep: number;
  /** A step packs just so many, in place of `editsPerStep`. */
  readonly episodesPerStep?: number | undefined;
  /** Labels of the record, or any answer of its relation. */
  readonly labels: "given" | "relation";
  /** Probability that an edit asks for what the base model says already. */
  readonly keepShare: number;
  readonly editPhrasing: Phrasing;
  /** Probability that an edit's in-scope pair is its own input; the rest are rephrases. */
  readonly selfShare: number;
  /** Probability that it is a noisy rephrase, where the record has one. */
  readonly noisyShare: number;
  readonly outScope: OutScopeOptions;
}

export const DEFAULT_TRAINING_SAMPLER: TrainingSamplerOptions = {
  seed: 0,
  trainK: "mixed",
  mixedK: STANDARD_K,
  editsPerStep: 64,
  labels: "relation",
  keepShare: 0,
  editPhrasing: "any",
  selfShare: 0.2,
  noisyShare: 0,
  outScope: { hardShare: 0.5, phrasing: "any" },
};

/** n episodes of K edits each; in-scope pair i of an episode belongs to its edit i. */
export interface TrainingStep {
  readonly K: number;
  readonly episodes: readonly Episode[];
}

/** Endless seeded training episodes. `state()` and `restore` give exact resume. */
export class TrainingSampler {
  readonly #records: readonly EditRecord[];
  readonly #options: TrainingSamplerOptions;
  readonly #labels: LabelPool;
  #stream: RecordStream;

  /**
   * @param records of the train split; those that no label would change are not used as edits
   * @throws SeprogError DATA_INVALID if there are too few groups for K edits and one other
   */
  constructor(records: readonly EditRecord[], options: Partial<TrainingSamplerOptions> = {}) {
    this.#options = { ...DEFAULT_TRAINING_SAMPLER, ...options };
    this.#records = records.filter(canBeEdited);
    this.#labels = new LabelPool(records);
    this.#stream = new RecordStream(this.#records, Rng.fromSeed(this.#options.seed));
    const { trainK, mixedK } = this.#options;
    const largestK = trainK === "mixed" ? Math.max(...mixedK) : trainK;
    const groupCount = new Set(this.#records.map(({ group }) => group)).size;
    if (groupCount <= largestK)
      throw new SeprogError(
        "DATA_INVALID",
        `expected more than ${largestK} records of different groups for \`trainK\` but received ${groupCount}; ` +
          "choose a smaller K or more data",
      );
  }

  state(): RecordStreamState {
    return this.#stream.state();
  }

  /** @throws SeprogError DATA_INVALID if the state belongs to other data */
  restore(state: RecordStreamState): void {
    this.#stream = RecordStream.restore(this.#records, state);
  }

  next(): TrainingStep {
    const { trainK, mixedK, editsPerStep, episodesPerStep } = this.#options;
    const K = trainK === "mixed" ? this.#stream.rng.pick(mixedK) : trainK;
    const count = episodesPerStep ?? Math.max(1, Math.round(editsPerStep / K));
    return { K, episodes: Array.from({ length: count }, () => this.#episode(K)) };
  }

  #episode(K: number): Episode {
    const { rng } = this.#stream;
    const edits = this.#stream.take(K).map((record) => this.#edit(record, rng));
    return {
      edits,
      inScope: edits.map((edit, i) => this.#inScope(edit, i, rng)),
      outScope: drawOutScope(edits, this.#records, this.#options.outScope, rng),
    };
  }

  #edit(record: EditRecord, rng: Rng): EpisodeEdit {
    const { labels, keepShare, editPhrasing } = this.#options;
    const changing = () =>
      labels === "relation" ? this.#labels.draw(record, rng) : drawGivenLabel(record, rng);
    const y_e = drawKeptLabel(record, keepShare, rng) ?? changing();
    return { record, x_e: drawEditInput(record, editPhrasing, rng), y_e };
  }

  #inScope(edit: EpisodeEdit, editIndex: number, rng: Rng): EpisodeInScope {
    const { selfShare, noisyShare } = this.#options;
    const noisy = noisyPairs(edit, editIndex);
    const draw = rng.unit();
    if (draw < selfShare) return selfPair(edit, editIndex);
    if (draw < selfShare + noisyShare && noisy.length > 0) return rng.pick(noisy);
    const rephrases = rephrasePairs(edit, editIndex);
    return rephrases.length > 0 ? rng.pick(rephrases) : selfPair(edit, editIndex);
  }
}
