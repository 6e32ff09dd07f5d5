import type { AnswerKind } from "./answer_form.js";

/** An edit in words. */
export interface EditWords {
  readonly x_e: string;
  readonly y_e: string;
  /** What the base model answers to `x_e`; known where a form needs it. */
  readonly prediction?: string | undefined;
}

/** How an edit is written for the encoder of an editor. */
export interface EditTextForm {
  /** Whether what the base model answers to the question is part of it. */
  readonly needsPrediction: boolean;
  /** Which end is kept of what is too long. */
  readonly keep: "start" | "end";
  /**
   * One text, or two: encoders that know pairs read them as such, others joined by `text.editSeparator`.
   * @param separator token that ends a text of the reading encoder, as text
   * @param answers of the base model
   */
  write(
    edit: EditWords & { readonly prediction: string },
    separator: string,
    answers: AnswerKind,
  ): string | readonly [string, string];
}

/** Question and answer; cut on the left, so that the answer stays [R3]. */
export const QUESTION_AND_ANSWER: EditTextForm = {
  needsPrediction: false,
  keep: "end",
  write: ({ x_e, y_e }) => [x_e, y_e],
};
