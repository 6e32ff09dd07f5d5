import type { TrainingConfig } from "../config/training.js";
import type { Dataset, EditRecord } from "../data/types.js";
import type { EditCodec } from "../tokenizers/edit_codec.js";
import type { Answering } from "./answer_rows.js";
import { predictBase } from "./base_predictions.js";
import { calibrationSample, TrainingEpisodes, validationEpisodes } from "./episode_source.js";
import { type TrainableEditor, type TrainingOptions, type TrainingRecord, train } from "./train.js";

export interface EditorTrainingInput {
  readonly editor: TrainableEditor;
  /** The unedited model: an edit must ask for something else than it says. */
  readonly base: Answering;
  /** Their train and validation splits are used. */
  readonly datasets: readonly Dataset[];
  readonly codec: EditCodec;
  readonly training: TrainingConfig;
  /** Whether the editor's start depends on data. */
  readonly calibrated: boolean;
  readonly seed: number;
}

/**
 * Trains an editor on data sets: asks the base about every edit, makes the episodes, runs the loop.
 * @throws as `train`; SeprogError DATA_INVALID if a split is too small for the largest K
 */
export async function trainEditor(
  { editor, base, datasets, codec, training, calibrated, seed }: EditorTrainingInput,
  options: TrainingOptions,
): Promise<TrainingRecord> {
  const { signal, onEvent } = options;
  const known = (records: readonly EditRecord[]): Promise<EditRecord[]> =>
    predictBase(base, records, codec, { ...(signal && { signal }), ...(onEvent && { onEvent }) });
  const trainRecords: EditRecord[][] = [];
  const validationRecords: EditRecord[][] = [];
  for (const { splits } of datasets) {
    trainRecords.push(await known(splits.train));
    validationRecords.push(await known(splits.validation));
  }
  const episodes = new TrainingEpisodes(trainRecords, codec, training, seed);
  const validation = await validationEpisodes(validationRecords, codec, training);
  const sample = calibrated ? await calibrationSample(trainRecords, codec, training, seed) : undefined;
  return train({ editor, episodes, validation, config: training, ...(sample && { sample }) }, options);
}
