import { join } from "node:path";
import type { EvaluationConfig } from "../config/evaluation.js";
import { loadJsonl } from "../data/datasets/jsonl.js";
import { evaluationEpisodes } from "../data/evaluation_episodes.js";
import { loadDataset } from "../data/registry.js";
import type { Dataset, EditRecord, Episode } from "../data/types.js";
import { SeprogError } from "../errors.js";
import type { Answering } from "../training/answer_rows.js";
import { type PredictionOptions, predictBase, predictEdits } from "../training/base_predictions.js";
import { type CellTask, datasetLabel } from "./grid.js";
import { type ContentHashes, episodesHash } from "./identity.js";
import type { ModelChoice } from "./job.js";
import { runEpisodes } from "./run_episodes.js";
import type { Session } from "./session.js";

export interface CellEpisodesInput {
  readonly task: Pick<CellTask, "dataset" | "K" | "text">;
  readonly evaluation: EvaluationConfig;
  readonly model: ModelChoice;
  /** Data sets the editor was trained on: of a file it has not seen every record may be asked. */
  readonly known: readonly string[];
  readonly session: Pick<Session, "codec" | "tokenizer"> & { readonly base: Answering };
  readonly contents: ContentHashes;
  /** Where the episodes of a data set and K are kept, for all methods. */
  readonly directory: string;
}

export interface CellEpisodes {
  readonly data: Dataset;
  /** At least one; with what the base says to the edits, where the method needs it. */
  readonly episodes: readonly [Episode, ...Episode[]];
}

/** The episodes of a cell, the same for all methods. @throws SeprogError DATA_INVALID without records to edit */
export async function cellEpisodes(
  { task, evaluation, model, known, session, contents, directory }: CellEpisodesInput,
  calls: PredictionOptions,
): Promise<CellEpisodes> {
  const { dataset, K, text } = task;
  const { base, codec, tokenizer } = session;
  const { split } = evaluation;
  // Of a file the editor has not seen every record may be asked; else only those of the split.
  const wholeFile = dataset.endsWith(".jsonl") && !known.includes(dataset);
  const data = await (wholeFile ? loadJsonl(dataset, { split }) : loadDataset(dataset, { tokenizer }));
  const records = data.splits[split];
  const drawn = await runEpisodes({
    path: join(directory, `${datasetLabel(dataset)}-K${K}.jsonl`),
    identity: await episodesHash({ dataset, wholeFile, K, evaluation, model, text }, contents),
    records,
    draw: async () => {
      // As it will be asked: what it says to an edit's own question is then known.
      const { maxNewTokens } = evaluation;
      return evaluationEpisodes(
        await predictBase(base, records, codec, { ...calls, maxNewTokens }),
        K,
        evaluation,
      );
    },
  });
  const episodes = codec.needsPrediction ? await predictEdits(base, drawn, codec, calls) : drawn;
  const [first, ...rest] = episodes;
  if (first === undefined) throw noEpisodes(dataset, records);
  return { data, episodes: [first, ...rest] };
}

function noEpisodes(dataset: string, records: readonly EditRecord[]): SeprogError {
  return new SeprogError(
    "DATA_INVALID",
    `expected records to edit in ${dataset} but received ${records.length}; give more records or another \`evaluation.split\``,
  );
}
