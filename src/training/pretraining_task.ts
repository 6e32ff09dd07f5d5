import type { PairRows, TokenScores } from "../native/addon.js";
import type { Answering } from "./answer_rows.js";

interface Call {
  readonly signal?: AbortSignal;
}

/** A model as a task examines it. */
export interface Examined extends Answering {
  score(batch: PairRows, options?: Call): Promise<TokenScores>;
}

/** What a model in training is good for on a fixed sample: `recall` of facts, or `perplexity` on passages. */
export type ExaminationFigure = { readonly recall: number } | { readonly perplexity: number };

/** What a base model is taught. */
export interface PretrainingTask {
  /** Items that one pass shows: facts, or windows of text. */
  readonly itemCount: number;
  /** Batch number i of endless passes: a function of its number alone, so that a run resumes exactly. */
  batch(index: number): Promise<PairRows>;
  examine(model: Examined, options?: Call): Promise<ExaminationFigure>;
}
