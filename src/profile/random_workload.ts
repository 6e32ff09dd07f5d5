import { Rng } from "../data/random.js";
import type {
  EditRequests,
  EpisodeBatch,
  ModelInfo,
  PairRows,
  RowViews,
  TokenRows,
} from "../native/addon.js";
import { packRows, unpackRows } from "../tokenizers/token_rows.js";
import type { QuestionLengths, RequestLengths, RowLengths, ViewLengths } from "./row_lengths.js";
import type { Asked, Questions, Workload } from "./workload.js";

/** Above the special ids of every family and within every vocabulary. */
const FIRST_ID = 200;
const LAST_ID = 999;

/** Random ids in rows of given lengths: costs do not depend on what they say. */
export function randomWorkload(
  lengths: RowLengths,
  model: Pick<ModelInfo, "answers" | "vocabulary" | "targetVocabulary" | "stopId">,
  seed: number,
): Workload {
  const rng = Rng.fromSeed(seed);
  const lastId = Math.min(LAST_ID, model.vocabulary - 1);
  const firstId = Math.min(FIRST_ID, lastId);
  const row = (length: number): Int32Array =>
    Int32Array.from({ length }, () => firstId + rng.int(lastId - firstId + 1));
  const rows = (each: readonly number[]): TokenRows => packRows(each.map(row));
  const target = (length: number): Int32Array => {
    if (model.answers === "label") return Int32Array.of(rng.int(model.targetVocabulary));
    const ids = row(length);
    if (model.answers === "text") ids[length - 1] = model.stopId;
    return ids;
  };
  const pairs = (each: RequestLengths["edits"]): PairRows => ({
    source: rows(each.source),
    target: packRows(each.target.map(target)),
  });
  const views = ({ classifier, counterfactual }: ViewLengths): RowViews => ({
    ...(classifier && { classifier: rows(classifier) }),
    ...(counterfactual && { counterfactual: rows(counterfactual) }),
  });
  const edits = ({ edits: each, editText, editPrefix }: RequestLengths) => ({
    edits: pairs(each),
    editText: rows(editText),
    ...(editPrefix && { editPrefix: rows(editPrefix) }),
  });
  /** Inputs about edits share their words: a start that depends on data looks for that. */
  const about = (editText: TokenRows, each: RequestLengths["edits"]): PairRows => {
    const texts = unpackRows(editText);
    const source = each.source.map((length, i) => {
      const text = texts[i] ?? row(length);
      return Int32Array.from({ length }, (_, at) => text[at % text.length] ?? firstId);
    });
    return { ...pairs(each), source: packRows(source) };
  };

  const { trainStep } = lengths;
  const trained = trainStep && edits(trainStep);
  const batch: EpisodeBatch | null = trainStep &&
    trained && {
      episodes: 1,
      ...trained,
      inScope: about(trained.editText, trainStep.inScope),
      outScope: pairs(trainStep.outScope),
      ...(trainStep.inScopeViews && { inScopeViews: views(trainStep.inScopeViews) }),
      ...(trainStep.outScopeViews && { outScopeViews: views(trainStep.outScopeViews) }),
    };
  const requests: EditRequests = {
    ...edits(lengths.requests),
    labels: lengths.requests.editText.map((_, i) => `edit ${i + 1}`),
    ...(lengths.requests.outScope && { outScope: pairs(lengths.requests.outScope) }),
  };
  const asked = (
    { source, views: each, answer }: QuestionLengths,
    gold: (row: number) => number,
  ): Questions => ({
    source: rows(source),
    options: {
      goldEdits: Int32Array.from(source, (_, i) => gold(i)),
      ...(each && { views: views(each) }),
      // Random weights do not know where an answer ends.
      maxNewTokens: answer,
      stopAtEnd: false,
    },
  });
  const questions: Record<Asked, Questions> = {
    inScope: asked(lengths.inScope, (i) => i),
    outScope: asked(lengths.outScope, () => -1),
  };
  return {
    trainBatch: batch && (async () => batch),
    requests: () => requests,
    questions: (which) => questions[which],
    successes: () => null,
  };
}
