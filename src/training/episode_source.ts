import { z } from "zod";
import type { TrainingConfig } from "../config/training.js";
import { Rng } from "../data/random.js";
import type { RecordStreamState } from "../data/record_stream.js";
import { TrainingSampler, type TrainingStep } from "../data/training_sampler.js";
import type { EditRecord, Episode, EpisodeEdit } from "../data/types.js";
import { SeprogError } from "../errors.js";
import type { EpisodeBatch } from "../native/addon.js";
import type { EditCodec } from "../tokenizers/edit_codec.js";
import type { EditWords } from "../tokenizers/edit_text_form.js";
import { packRows, packTypedRows, type TokenRow, type TokenRows } from "../tokenizers/token_rows.js";
import { Breather } from "./pause.js";
import type { EpisodeSource } from "./train.js";

const samplerStateSchema: z.ZodType<RecordStreamState> = z.strictObject({
  rng: z.string(),
  orderRng: z.string(),
  cursor: z.int(),
  pending: z.array(z.int()),
});
const stateSchema = z.strictObject({ rng: z.string(), samplers: z.array(samplerStateSchema) });

type Json = z.core.util.JSONType;

/** Training episodes of one or more data sets, tokenised; with several, each step draws one of them. */
export class TrainingEpisodes implements EpisodeSource {
  readonly #samplers: readonly TrainingSampler[];
  readonly #codec: EditCodec;
  readonly #nested: readonly number[];
  #rng: Rng;

  /** @param recordsOfDatasets train splits, one list a data set */
  constructor(
    recordsOfDatasets: readonly (readonly EditRecord[])[],
    codec: EditCodec,
    training: TrainingConfig,
    seed: number,
  ) {
    this.#samplers = recordsOfDatasets.map(
      (records, i) => new TrainingSampler(records, samplerOptions(training, seed + i)),
    );
    this.#codec = codec;
    this.#nested = nestedK(training);
    this.#rng = Rng.fromSeed(seed);
  }

  async next(): Promise<{ batch: EpisodeBatch; stateAfter: Json }> {
    const step = this.#rng.pick(this.#samplers).next();
    const stateAfter = {
      rng: this.#rng.state(),
      samplers: this.#samplers.map((sampler) => ({
        ...sampler.state(),
        pending: [...sampler.state().pending],
      })),
    };
    return { batch: regrouped(await toBatch(step, this.#codec), this.#nested), stateAfter };
  }

  restore(state: Json): void {
    const { rng, samplers } = stateSchema.parse(state);
    if (samplers.length !== this.#samplers.length)
      throw new SeprogError(
        "CHECKPOINT_INVALID",
        `expected the state of ${this.#samplers.length} data sets but received that of ${samplers.length}; start afresh with --fresh`,
      );
    this.#rng = Rng.fromState(rng);
    samplers.forEach((one, i) => {
      this.#samplers[i]?.restore(one);
    });
  }
}

/** The K below the largest, of episodes that are nested. */
const nestedK = ({ k, kMixing }: TrainingConfig): number[] =>
  kMixing === "nested" ? k.filter((one) => one !== Math.max(...k)) : [];

/** The same rows, also seen as episodes of these K. */
function regrouped(batch: EpisodeBatch, smallerK: readonly number[]): EpisodeBatch {
  if (smallerK.length === 0) return batch;
  const rows = batch.editText.lengths.length;
  return { ...batch, regroupings: Int32Array.from(smallerK, (K) => rows / K) };
}

const samplerOptions = (
  { k, kMixing, editsPerStep, episodesPerStep, ...rest }: TrainingConfig,
  seed: number,
) => ({
  seed,
  trainK: "mixed" as const,
  mixedK: kMixing === "nested" ? [Math.max(...k)] : k,
  editsPerStep,
  episodesPerStep,
  labels: rest.labels,
  keepShare: rest.keepShare,
  editPhrasing: rest.editPhrasing,
  selfShare: rest.selfShare,
  noisyShare: rest.noisyShare,
  outScope: rest.outScope,
});

/**
 * The fixed validation episodes: one episode a batch, K drawn as in training among those the records allow.
 * @param recordsOfDatasets validation splits, one list a data set; small ones give smaller K
 * @throws SeprogError DATA_INVALID if no data set has two groups
 */
export async function validationEpisodes(
  recordsOfDatasets: readonly (readonly EditRecord[])[],
  codec: EditCodec,
  training: TrainingConfig,
): Promise<EpisodeBatch[]> {
  const samplers = recordsOfDatasets.flatMap((records) => {
    const largestK = new Set(records.map(({ group }) => group)).size - 1;
    if (largestK < 1) return [];
    const fitting = training.k.filter((k) => k <= largestK);
    const k = fitting.length > 0 ? fitting : [largestK];
    return [
      new TrainingSampler(records, {
        ...samplerOptions({ ...training, k, kMixing: "drawn" }, 0),
        episodesPerStep: 1,
      }),
    ];
  });
  if (samplers.length === 0)
    throw new SeprogError(
      "DATA_INVALID",
      "expected at least two records of different groups in the validation split but received fewer; use more data",
    );
  const batches: EpisodeBatch[] = [];
  for (let i = 0; i < training.validationEpisodes; i++) {
    const sampler = samplers[i % samplers.length] as TrainingSampler;
    batches.push(await toBatch(sampler.next(), codec));
  }
  return batches;
}

/** Edits a data-dependent start looks at: enough for second moments of a few hundred dimensions. */
export const CALIBRATION_EDITS = 1024;

/** A sample of training rows for `Editor.calibrate`, as one batch; a draw of its own that training does not see. */
export async function calibrationSample(
  recordsOfDatasets: readonly (readonly EditRecord[])[],
  codec: EditCodec,
  training: TrainingConfig,
  seed: number,
): Promise<EpisodeBatch> {
  const K = Math.max(...training.k);
  const steps = recordsOfDatasets.map((records, i) =>
    new TrainingSampler(records, {
      ...samplerOptions(training, seed + i),
      mixedK: [K],
      editsPerStep: Math.ceil(CALIBRATION_EDITS / recordsOfDatasets.length),
      episodesPerStep: undefined,
    }).next(),
  );
  return toBatch({ K, episodes: steps.flatMap(({ episodes }) => episodes) }, codec);
}

/**
 * One in-scope pair an edit, in the edits' order. Training episodes have just that; of an evaluation episode's it is
 * the first clean rephrase, or the edit's own input where there is none.
 */
export function oneInScopePerEdit({ edits, inScope }: Episode): { readonly x: string; readonly y: string }[] {
  const preference = ["rephrase", "entailed", "self", "noisy"];
  return edits.map(({ x_e, y_e }, edit) => {
    const own = inScope.filter(({ editIndex }) => editIndex === edit);
    own.sort((a, b) => preference.indexOf(a.kind) - preference.indexOf(b.kind));
    return own[0] ?? { x: x_e, y: y_e };
  });
}

/** What the text of an edit may be made of. */
export const editWords = ({ record, x_e, y_e }: EpisodeEdit): EditWords => ({
  x_e,
  y_e,
  prediction: record.base_pred,
});

/** Tokenises in slices that let the event loop come round. */
export async function toBatch({ episodes }: TrainingStep, codec: EditCodec): Promise<EpisodeBatch> {
  const breather = new Breather();
  const rows = async (texts: readonly string[], encode: (text: string) => Int32Array): Promise<TokenRows> => {
    const encoded: Int32Array[] = [];
    for (const text of texts) {
      encoded.push(encode(text));
      await breather.pause();
    }
    return packRows(encoded);
  };
  const source = (x: string): Int32Array => codec.source(x);
  const target = (y: string): Int32Array => codec.target(y);
  const all = <T>(pick: (episode: Episode) => readonly T[]): T[] => episodes.flatMap(pick);

  const edits = all((episode) => episode.edits);
  const inScope = all(oneInScopePerEdit);
  const outScope = all((episode) => episode.outScope);
  const editTexts: TokenRow[] = [];
  for (const edit of edits) {
    editTexts.push(codec.editText(editWords(edit)));
    await breather.pause();
  }
  const { views: inScopeViews } = codec.views(inScope.map(({ x }) => x));
  await breather.pause();
  const { views: outScopeViews } = codec.views(outScope.map(({ x }) => x));
  return {
    episodes: episodes.length,
    editText: packTypedRows(editTexts),
    ...codec.editPrefixes(edits.map(editWords)),
    ...(inScopeViews && { inScopeViews }),
    ...(outScopeViews && { outScopeViews }),
    edits: {
      source: await rows(
        edits.map(({ x_e }) => x_e),
        source,
      ),
      target: await rows(
        edits.map(({ y_e }) => y_e),
        target,
      ),
    },
    inScope: {
      source: await rows(
        inScope.map(({ x }) => x),
        source,
      ),
      target: await rows(
        inScope.map(({ y }) => y),
        target,
      ),
    },
    outScope: {
      source: await rows(
        outScope.map(({ x }) => x),
        source,
      ),
      target: await rows(
        outScope.map(({ y_gold }) => y_gold[0] ?? ""),
        target,
      ),
    },
  };
}
