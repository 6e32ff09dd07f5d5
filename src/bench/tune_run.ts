import type { EvaluationConfig } from "../config/evaluation.js";
import type { Tune } from "../config/suite.js";
import { evaluationEpisodes } from "../data/evaluation_episodes.js";
import type { EditRecord, Episode } from "../data/types.js";
import type { EditorSpec } from "../editors/registry.js";
import { SeprogError } from "../errors.js";
import { BaseAnswers } from "../evaluation/base_answers.js";
import { BatchBudget, type MemoryShares } from "../evaluation/batch_budget.js";
import { evaluate } from "../evaluation/evaluate.js";
import type { KnownAnswers } from "../evaluation/known_answers.js";
import type { EditRecordLine, Tuning } from "../evaluation/records.js";
import type { EditedScorer, Subject } from "../evaluation/scorers.js";
import { drawdown } from "../metrics/drawdown.js";
import { editSuccess } from "../metrics/edit_success.js";
import type { EditRequests } from "../native/addon.js";
import type { EditCodec } from "../tokenizers/edit_codec.js";
import type { OnEvent } from "../training/events.js";

export interface TuneInput<Edited extends EditedScorer> {
  readonly tune: Tune;
  /** Of the validation split, with what the base says. */
  readonly records: readonly EditRecord[];
  readonly K: number;
  readonly evaluation: EvaluationConfig;
  readonly codec: EditCodec;
  /** The method with the options of a candidate, for as long as `work` runs. */
  readonly withSubject: (
    editor: EditorSpec,
    work: (subject: Subject<Edited>) => Promise<void>,
  ) => Promise<void>;
  readonly requestsOf: (edits: Episode) => EditRequests;
  /** What the base model is known to say; default: nothing. */
  readonly known?: KnownAnswers;
  /** Default: no limit, and nothing kept between calls. */
  readonly memory?: MemoryShares;
}

/**
 * Chooses the value with the largest ES − DD on edits of the validation split; of equal ones the first. Values that lead
 * to numbers that are not finite are passed over.
 * @throws SeprogError DATA_INVALID without validation records; NON_FINITE if no value works
 */
export async function tuneOption<Edited extends EditedScorer>(
  { tune, records, K, evaluation, codec, withSubject, requestsOf, known, memory }: TuneInput<Edited>,
  { signal, onEvent }: { readonly signal?: AbortSignal; readonly onEvent?: OnEvent } = {},
): Promise<{ readonly editor: EditorSpec; readonly tuning: Tuning }> {
  const largestK = new Set(records.map(({ group }) => group)).size - 1;
  if (largestK < 1)
    throw new SeprogError(
      "DATA_INVALID",
      `expected at least two records of different groups in the validation split to tune ${tune.option} on but received ${records.length}`,
    );
  const atOnce = Math.min(K, largestK);
  const episodes = evaluationEpisodes(records, atOnce, {
    ...evaluation,
    maxEdits: tune.edits,
    minEpisodes: 1,
  });
  const { batchSize, maxNewTokens, sequential } = evaluation;
  const budget = new BatchBudget({ ...memory, mostRows: batchSize });
  const asking = { budget, maxNewTokens, ...(signal && { signal }) };
  let baseAnswers: BaseAnswers | undefined;
  const tried: Tuning["tried"] = [];
  for (const [i, { value, editor }] of tune.candidates.entries()) {
    const tellProgress: OnEvent = (event) => {
      if (event.type === "progress")
        onEvent?.({
          ...event,
          phase: "tune",
          step: i * episodes.length + event.step,
          total: tune.candidates.length * episodes.length,
          figures: { ...event.figures, value },
          etaMs: null,
        });
    };
    const lines: EditRecordLine[] = [];
    let works = true;
    await withSubject(editor, async (subject) => {
      baseAnswers ??= new BaseAnswers(subject.base, codec, asking, known);
      const input = { subject, episodes, codec, baseAnswers, sequential, requestsOf };
      for await (const one of evaluate(input, { ...asking, onEvent: tellProgress })) lines.push(...one.lines);
    }).catch((error: unknown) => {
      if (!(error instanceof SeprogError && error.code === "NON_FINITE")) throw error;
      works = false;
    });
    const once = { resamples: 1 };
    tried.push({
      value,
      ES: works ? (editSuccess(lines, once)?.value ?? null) : null,
      DD: works ? (drawdown(lines, once)?.value ?? 0) : null,
    });
  }
  const scores = tried.map(({ ES, DD }) => (ES === null || DD === null ? Number.NEGATIVE_INFINITY : ES - DD));
  const best = scores.indexOf(Math.max(...scores));
  const chosen = tune.candidates[best];
  if (chosen === undefined || scores[best] === Number.NEGATIVE_INFINITY)
    throw new SeprogError(
      "NON_FINITE",
      `expected a value of ${tune.option} whose edits stay finite but received none among ${tune.candidates.map(({ value }) => value).join(", ")}; give smaller ones`,
    );
  const edits = episodes.reduce((sum, episode) => sum + episode.edits.length, 0);
  return {
    editor: chosen.editor,
    tuning: { option: tune.option, value: chosen.value, edits, K: atOnce, tried },
  };
}
