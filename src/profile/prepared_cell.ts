import { cellEpisodes } from "../bench/cell_episodes.js";
import type { CellTask } from "../bench/grid.js";
import { ContentHashes } from "../bench/identity.js";
import { tokenizerHash } from "../bench/receipt.js";
import { editorCodec } from "../config/editor_codec.js";
import { loadDataset } from "../data/registry.js";
import type { EditRecord, Episode } from "../data/types.js";
import { counterfactual, isTrained, needsCalibration, useOf } from "../editors/registry.js";
import { requestsWithOutScope } from "../evaluation/edit_time_questions.js";
import { editRequests } from "../evaluation/scorers.js";
import type { EpisodeBatch } from "../native/addon.js";
import type { Model } from "../native/engine.js";
import { Tokenizer } from "../tokenizers/tokenizer.js";
import { predictBase } from "../training/base_predictions.js";
import { CALIBRATION_EDITS, calibrationSample, TrainingEpisodes } from "../training/episode_source.js";
import type { OnEvent } from "../training/events.js";
import { evenLengths, type ReadBeside } from "./even_lengths.js";
import type { ProfiledModel, ProfileJob, ShapedModel } from "./job.js";
import { randomWorkload } from "./random_workload.js";
import { someRecords, textWorkload } from "./text_workload.js";
import type { Workload } from "./workload.js";

/** What a cell is measured on. */
export interface PreparedCell {
  readonly workload: Workload;
  /** For an editor whose start depends on data: rows for it, and how often their cost is that of a whole start. */
  readonly calibration: { readonly sample: EpisodeBatch; readonly steps: number } | null;
  readonly dataHash: string | null;
  readonly tokenizerHash: string | null;
}

interface Calls {
  readonly signal?: AbortSignal;
  readonly onEvent?: OnEvent;
}

type Of<Kind extends ProfiledModel["kind"]> = Omit<ProfileJob, "model"> & {
  readonly model: ProfiledModel & { readonly kind: Kind };
};

/** Edits of the suite's data set: the episodes of the bench, and the method's own training. */
export async function prepareText(
  { task, model, episodesDirectory }: Of<"folder">,
  base: Model,
  calls: Calls,
): Promise<PreparedCell> {
  const { K, text, editor } = task;
  const spec = editor.method.editor;
  const tokenizer = await Tokenizer.load(model.folder);
  const codec = await editorCodec(tokenizer, base.info, text, spec);
  const contents = new ContentHashes();
  const { data, episodes } = await cellEpisodes(
    {
      task,
      evaluation: { ...task.evaluation, maxEdits: K, minEpisodes: 1 },
      model,
      known: editor.datasets,
      session: { base, codec, tokenizer },
      contents,
      directory: episodesDirectory,
    },
    calls,
  );
  const training = { ...editor.method.training, k: [K], kMixing: "drawn" as const, episodesPerStep: 1 };
  const trainRecords: EditRecord[][] = [];
  if (isTrained(spec))
    for (const name of editor.datasets) {
      const { splits } = await loadDataset(name, { tokenizer });
      trainRecords.push(await predictBase(base, someRecords(splits.train, K), codec, calls));
    }
  return {
    workload: await textWorkload({
      codec,
      episode: episodes[0],
      requestsOf: useOf(spec).needsOutScope
        ? requestsWithOutScope(data.splits.train, codec)
        : (edits: Episode) => editRequests(edits, codec),
      training: isTrained(spec) ? new TrainingEpisodes(trainRecords, codec, training, task.seed) : null,
      maxNewTokens: task.evaluation.maxNewTokens,
    }),
    calibration: needsCalibration(spec)
      ? { sample: await calibrationSample(trainRecords, codec, training, task.seed), steps: 1 }
      : null,
    dataHash: await contents.dataset(task.dataset),
    tokenizerHash: await tokenizerHash(model.folder),
  };
}

/** Questions that edits come with, for methods that keep the answers to some. */
const OUT_SCOPE_REQUESTS = 128;

/** Random ids in rows of the lengths that were asked for. */
export function shapeWorkload({ K, seed, editor }: CellTask, { tokens }: ShapedModel, base: Model): Workload {
  const spec = editor.method.editor;
  const beside: ReadBeside = {
    views: counterfactual(spec) !== undefined,
    outScopeRequests: useOf(spec).needsOutScope ? OUT_SCOPE_REQUESTS : 0,
  };
  const target = base.info.answers === "label" ? 1 : tokens.target;
  const lengths = evenLengths(K, { ...tokens, target }, beside);
  return randomWorkload(isTrained(spec) ? lengths : { ...lengths, trainStep: null }, base.info, seed);
}

/** Random ids; a start that depends on data sees as many rows as in training, K at a time. */
export async function prepareShape({ task, model }: Of<"shape">, base: Model): Promise<PreparedCell> {
  const workload = shapeWorkload(task, model, base);
  const { trainBatch } = workload;
  return {
    workload,
    calibration:
      needsCalibration(task.editor.method.editor) && trainBatch
        ? { sample: await trainBatch(), steps: Math.ceil(CALIBRATION_EDITS / task.K) }
        : null,
    dataHash: null,
    tokenizerHash: null,
  };
}
