import type { ScopeDecision } from "../native/addon.js";
import type { EditedModel, Model } from "../native/engine.js";
import type { EditCodec } from "../tokenizers/edit_codec.js";
import { packRows, unpackRows } from "../tokenizers/token_rows.js";

export interface AskOptions {
  readonly signal?: AbortSignal;
  /** Default 32; models that answer with a label or a fixed number of tokens have their own. */
  readonly maxNewTokens?: number;
}

export interface Answer {
  readonly text: string;
  /** Probability that the question is about one of the edits; the edits are used above 0.5. Null without a gate. */
  readonly inScope: number | null;
}

/** Answers by greedy generation, in the questions' order. */
export async function answerAll(
  model: Model | EditedModel,
  codec: EditCodec,
  questions: readonly string[],
  options: AskOptions = {},
): Promise<Answer[]> {
  if (questions.length === 0) return [];
  const source = packRows(questions.map((question) => codec.source(question)));
  const { tokens, scope } = await model.generate(source, {
    ...options,
    ...codec.generation,
    ...codec.views(questions),
  });
  return unpackRows(tokens).map((ids, i) => ({ text: codec.answer(ids).trim(), inScope: gate(scope, i) }));
}

function gate(scope: ScopeDecision | undefined, row: number): number | null {
  const logit = scope?.logit[row];
  return logit === undefined ? null : 1 / (1 + Math.exp(-logit));
}
