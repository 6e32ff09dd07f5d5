import { withBasePredictions } from "../data/labels.js";
import type { EditRecord, Episode } from "../data/types.js";
import type { EditCodec } from "../tokenizers/edit_codec.js";
import { packRows, unpackRows } from "../tokenizers/token_rows.js";
import type { OnEvent } from "./events.js";
import { Pace } from "./progress.js";
import type { Answering } from "./recall.js";

export interface PredictionOptions {
  readonly batchSize?: number;
  readonly maxNewTokens?: number;
  readonly signal?: AbortSignal;
  readonly onEvent?: OnEvent;
}

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

/** What the model says to each record's `x_e`, by id. */
async function predictionsOf(
  model: Answering,
  records: readonly EditRecord[],
  codec: EditCodec,
  { batchSize = 512, maxNewTokens = 32, signal, onEvent }: PredictionOptions,
): Promise<Map<string, string>> {
  const rows = records.map(({ id, x_e }) => ({ id, source: codec.source(x_e) }));
  rows.sort((a, b) => a.source.length - b.source.length);
  const predictionOf = new Map<string, string>();
  const pace = new Pace(0, rows.length);
  for (let from = 0; from < rows.length; from += batchSize) {
    const piece = rows.slice(from, from + batchSize);
    const source = packRows(piece.map((row) => row.source));
    const { tokens } = await model.generate(source, {
      maxNewTokens,
      ...codec.generation,
      ...(signal && { signal }),
    });
    unpackRows(tokens).forEach((ids, i) => {
      predictionOf.set(piece[i]?.id ?? "", codec.answer(ids).trim());
    });
    const step = from + piece.length;
    onEvent?.({
      type: "progress",
      phase: "prepare",
      step,
      total: rows.length,
      figures: {},
      elapsedMs: pace.elapsedMs,
      etaMs: pace.etaMs(step),
    });
  }
  return predictionOf;
}
