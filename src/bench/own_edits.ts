import type { EvaluationConfig } from "../config/evaluation.js";
import { readRecords } from "../data/datasets/jsonl.js";
import { episodeOfEdits } from "../data/evaluation_episodes.js";
import { Problems } from "../data/problems.js";
import { Rng } from "../data/random.js";
import { loadDataset } from "../data/registry.js";
import type { EditRecord, EpisodeEdit } from "../data/types.js";
import { SeprogError } from "../errors.js";
import { nameQuestions, type QuestionEpisode } from "../evaluation/question_file.js";
import { datasetLabel } from "./grid.js";

export interface OwnEdits {
  /** The edits that were made, in the order in which they were: a file of common records with one answer each. */
  readonly file: string;
  /** So many of the first ones: a model each; default: all, one model. */
  readonly k?: readonly number[] | undefined;
  /** Data set or file that random out-of-scope questions are drawn from; default: records that are not among the edits. */
  readonly outOfScope?: string | undefined;
  readonly evaluation: EvaluationConfig;
}

/**
 * The questions about edits that are known: one episode a K.
 * @throws SeprogError DATA_INVALID for records with several answers, a K beyond the file, and where there is nothing to
 *   draw out-of-scope questions from
 */
export async function questionsOfEdits({
  file,
  k,
  outOfScope,
  evaluation,
}: OwnEdits): Promise<QuestionEpisode[]> {
  const records = await readRecords(file);
  const problems = new Problems();
  for (const { id, y_e_options } of records)
    if (y_e_options.length !== 1)
      problems.add(
        file,
        `\`y_e_options\` of ${id}: expected the one answer that was edited in but received ${y_e_options.length}`,
      );
  problems.throwIfAny(file);
  const given = outOfScope === undefined ? undefined : await recordsOf(outOfScope, evaluation);
  const label = datasetLabel(file);
  return (k ?? [records.length]).flatMap((K) => {
    if (K > records.length)
      throw new SeprogError(
        "DATA_INVALID",
        `expected at least ${K} edits in ${file}, as \`--k\` says, but received ${records.length}`,
      );
    const pool = given ?? records.slice(K);
    if (pool.length === 0)
      throw new SeprogError(
        "DATA_INVALID",
        `expected other records than the ${K} edits of ${file} to draw out-of-scope questions from but received none; name a data set or file with --out-of-scope`,
      );
    const edits = records.slice(0, K).map(toEdit);
    // The same edits, the same questions, whatever other K are asked about.
    const rng = Rng.fromSeed(0);
    const options = { rephrasesPerEdit: evaluation.rephrasesPerEdit, outScope: evaluation.outScope };
    return nameQuestions(label, [episodeOfEdits(edits, pool, options, rng)], evaluation.sequential);
  });
}

const toEdit = (record: EditRecord): EpisodeEdit => ({
  record,
  x_e: record.x_e,
  y_e: record.y_e_options[0] ?? "",
});

async function recordsOf(spec: string, { split }: EvaluationConfig): Promise<readonly EditRecord[]> {
  return spec.endsWith(".jsonl") ? readRecords(spec) : (await loadDataset(spec)).splits[split];
}
