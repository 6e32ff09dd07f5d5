import { SeprogError } from "../errors.js";
import type { TextLimits } from "./text_limits.js";
import type { Tokenizer } from "./tokenizer.js";

/** "text": a decoder's own sequence; "continuation": more tokens of the source; "label": one class. */
export type AnswerKind = "text" | "continuation" | "label";

/** What decides how a model's answers are written as tokens. */
export interface AnsweringModel {
  readonly answers: AnswerKind;
  /** Ids a target may hold: the number of classes for labels. */
  readonly targetVocabulary: number;
}

/** How an answer is to be generated: an absent `maxNewTokens` leaves the limit to whoever asks. */
export interface GenerationForm {
  readonly maxNewTokens?: number;
  /** false: exactly `maxNewTokens` tokens. */
  readonly stopAtEnd: boolean;
}

/** Questions and answers of one kind of model as token rows, and back. */
export interface AnswerForm {
  readonly generation: GenerationForm;
  source(x: string): Int32Array;
  target(y: string): Int32Array;
  /** Text of a generated row. */
  answer(ids: Iterable<number>): string;
}

type MakeForm = (tokenizer: Tokenizer, limits: TextLimits, model: AnsweringModel) => AnswerForm;

export const ANSWER_FORMS: { readonly [kind in AnswerKind]: MakeForm } = {
  // What a family puts in front of a text is no part of its answers: the decoder starts from a token of its own.
  text: (tokenizer, { maxSourceTokens, maxTargetTokens }) => ({
    generation: { stopAtEnd: true },
    source: (x) => tokenizer.encode(x, { maxTokens: maxSourceTokens }),
    target: (y) => tokenizer.encode(y, { maxTokens: maxTargetTokens, specialTokens: "after" }),
    answer: (ids) => tokenizer.decode(ids),
  }),
  // The end of the source is kept: the answer goes on from there.
  continuation: (tokenizer, { maxSourceTokens, maxTargetTokens, answerTokens }) => ({
    generation: { stopAtEnd: false, ...(answerTokens !== undefined && { maxNewTokens: answerTokens }) },
    source: (x) =>
      notEmpty(
        tokenizer.encode(x, { maxTokens: maxSourceTokens, keep: "end", specialTokens: "none" }),
        "text to go on from",
        x,
      ),
    target: (y) => {
      const maxTokens = answerTokens ?? maxTargetTokens;
      const ids = notEmpty(tokenizer.encode(y, { maxTokens, specialTokens: "none" }), "continuation", y);
      if (answerTokens === undefined || ids.length === answerTokens) return ids;
      throw new SeprogError(
        "DATA_INVALID",
        `expected a continuation of ${answerTokens} tokens (\`text.answerTokens\`) but received ${ids.length}: ${JSON.stringify(y)}`,
      );
    },
    answer: (ids) => tokenizer.decode(ids),
  }),
  label: (tokenizer, { maxSourceTokens }, { targetVocabulary }) => {
    const labels = classLabels(targetVocabulary);
    const idOf = new Map(labels.map((label, id) => [label.toLowerCase(), id]));
    return {
      generation: { maxNewTokens: 1, stopAtEnd: false },
      source: (x) => tokenizer.encode(x, { maxTokens: maxSourceTokens }),
      target: (y) => {
        const id = idOf.get(y.trim().toLowerCase());
        if (id !== undefined) return Int32Array.of(id);
        throw new SeprogError(
          "DATA_INVALID",
          `expected one of the labels ${labels.join(", ")} for an answer of this model but received ${JSON.stringify(y)}`,
        );
      },
      answer: (ids) => Array.from(ids, (id) => labels[id] ?? "").join(""),
    };
  },
};

/** How classes are spoken of: two are False and True, more are their numbers. */
const classLabels = (classes: number): readonly string[] =>
  classes === 2 ? ["False", "True"] : Array.from({ length: classes }, (_, id) => String(id));

function notEmpty(ids: Int32Array, what: string, text: string): Int32Array {
  if (ids.length > 0) return ids;
  throw new SeprogError("DATA_INVALID", `expected a ${what} but received ${JSON.stringify(text)}`);
}
