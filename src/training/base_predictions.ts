import { withBasePredictions } from "../data/labels.js";
import type { EditRecord, Episode } from "../data/types.js";
import type { EditCodec } from "../tokenizers/edit_codec.js";
import { type Answering, type AnswerOptions, answerRows } from "./answer_rows.js";

/** Default: 512 rows of a call, 32 tokens of an answer. */
export type PredictionOptions = Partial<AnswerOptions>;

/**
 * Records with what the unedited model says to `x_e`, so that every edit asks for another answer; records that no
 * label would change are left out.
 */
export async function predictBase(
  model: Answering,
  records: readonly EditRecord[],
  codec: EditCodec,
  options: PredictionOptions = {},
): Promise<EditRecord[]> {
  return withBasePredictions(records, await predictionsOf(model, records, codec, options));
}

/** Episodes whose edits' records hold what the unedited model says to `x_e`, for edit texts that tell it. */
export async function predictEdits(
  model: Answering,
  episodes: readonly Episode[],
  codec: EditCodec,
  options: PredictionOptions = {},
): Promise<Episode[]> {
  const records = new Map(
    episodes.flatMap(({ edits }) => edits.map(({ record }) => [record.id, record] as const)),
  );
  const predictionOf = await predictionsOf(model, [...records.values()], codec, options);
  return episodes.map((episode) => ({
    ...episode,
    edits: episode.edits.map((edit) => ({
      ...edit,
      record: { ...edit.record, base_pred: predictionOf.get(edit.record.id) },
    })),
  }));
}

/** What the model says to each text, by the text; one that comes again is asked once. */
export async function answersTo(
  model: Answering,
  texts: Iterable<string>,
  codec: EditCodec,
  { batchSize = 512, maxNewTokens = 32, ...calls }: PredictionOptions = {},
): Promise<Map<string, string>> {
  const answers = new Map<string, string>();
  const rows = [...new Set(texts)].map((x) => ({ x, source: codec.source(x) }));
  await answerRows(
    model,
    rows,
    codec,
    ({ x }, answer) => answers.set(x, answer),
    { phase: "prepare" },
    { batchSize, maxNewTokens, ...calls },
  );
  return answers;
}

/** What the model says to each record's `x_e`, by id. */
async function predictionsOf(
  model: Answering,
  records: readonly EditRecord[],
  codec: EditCodec,
  options: PredictionOptions,
): Promise<Map<string, string>> {
  const texts = records.map(({ x_e }) => x_e);
  const answers = await answersTo(model, texts, codec, options);
  return new Map(records.map(({ id, x_e }) => [id, (answers.get(x_e) ?? "").trim()]));
}
