import type { EvaluationConfig } from "../config/evaluation.js";
import type { Episode } from "../data/types.js";
import { BaseAnswers } from "../evaluation/base_answers.js";
import { BatchBudget, type MemoryShares } from "../evaluation/batch_budget.js";
import { evaluate } from "../evaluation/evaluate.js";
import { KnownAnswers } from "../evaluation/known_answers.js";
import type { EditRecordLine } from "../evaluation/records.js";
import type { EditedScorer, Subject } from "../evaluation/scorers.js";
import type { EditRequests } from "../native/addon.js";
import type { EditCodec } from "../tokenizers/edit_codec.js";
import type { OnEvent } from "../training/events.js";

export interface Fp32Input<Edited extends EditedScorer> {
  /** On the base in fp32. */
  readonly subject: Subject<Edited>;
  readonly episodes: readonly Episode[];
  readonly codec: EditCodec;
  readonly evaluation: EvaluationConfig;
  readonly requestsOf: (edits: Episode) => EditRequests;
  readonly memory: MemoryShares;
}

/** What is said of the same edits and questions with the base in fp32: what a rounded one is compared with. */
export async function fp32Lines<Edited extends EditedScorer>(
  { subject, episodes, codec, evaluation, requestsOf, memory }: Fp32Input<Edited>,
  calls: { readonly signal?: AbortSignal; readonly onEvent?: OnEvent },
): Promise<EditRecordLine[]> {
  const { batchSize, maxNewTokens, sequential } = evaluation;
  const budget = new BatchBudget({ ...memory, mostRows: batchSize });
  const baseAnswers = new BaseAnswers(subject.base, codec, { budget, maxNewTokens }, new KnownAnswers());
  const lines: EditRecordLine[] = [];
  const asked = evaluate(
    { subject, episodes, codec, baseAnswers, sequential, requestsOf },
    { budget, maxNewTokens, ...calls },
  );
  for await (const episode of asked) lines.push(...episode.lines);
  return lines;
}
