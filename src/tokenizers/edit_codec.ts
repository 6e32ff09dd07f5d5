import { ANSWER_FORMS, type AnswerForm, type AnsweringModel, type GenerationForm } from "./answer_form.js";
import { DEFAULT_TEXT_LIMITS, type TextLimits } from "./text_limits.js";
import { packRows, packTypedRows, type TokenRow, type TokenRows } from "./token_rows.js";
import type { Tokenizer } from "./tokenizer.js";

interface EditText {
  readonly x_e: string;
  readonly y_e: string;
}

/** How questions, answers and edits become token rows of a model and of an editor's encoder (seprog.md §2). */
export class EditCodec {
  readonly #form: AnswerForm;
  readonly #edit: Tokenizer;
  readonly #limits: TextLimits;

  /**
   * @param tokenizer the base model's
   * @param model decides what an answer is
   * @param edit tokenizer of the edit encoder, where it is not the base model's; it may be another family's
   */
  constructor(
    tokenizer: Tokenizer,
    model: AnsweringModel,
    limits: TextLimits = DEFAULT_TEXT_LIMITS,
    edit: Tokenizer = tokenizer,
  ) {
    this.#form = ANSWER_FORMS[model.answers](tokenizer, limits, model);
    this.#edit = edit;
    this.#limits = limits;
  }

  /** How the model's answers are to be generated. */
  get generation(): GenerationForm {
    return this.#form.generation;
  }

  /** Cut on the right; where the answer continues it, on the left. @throws SeprogError DATA_INVALID if that is empty */
  source(x: string): Int32Array {
    return this.#form.source(x);
  }

  /**
   * Text ends with the stop token, a continuation does not, a label is its class; cut on the right.
   * @throws SeprogError DATA_INVALID for a text that is no label, and for a continuation of another length than asked
   */
  target(y: string): Int32Array {
    return this.#form.target(y);
  }

  /** `x_e >> y_e`, or the pair of both for encoders that know pairs; cut on the left, so that y_e stays [R3]. */
  editText({ x_e, y_e }: EditText): TokenRow {
    const { maxEditTokens, editSeparator } = this.#limits;
    const cut = { maxTokens: maxEditTokens, keep: "end" } as const;
    if (this.#edit.takesPairs) return this.#edit.encodePair(x_e, y_e, cut);
    return { ids: this.#edit.encode(x_e + editSeparator + y_e, cut) };
  }

  sources(xs: readonly string[]): TokenRows {
    return packRows(xs.map((x) => this.source(x)));
  }

  targets(ys: readonly string[]): TokenRows {
    return packRows(ys.map((y) => this.target(y)));
  }

  editTexts(edits: readonly EditText[]): TokenRows {
    return packTypedRows(edits.map((edit) => this.editText(edit)));
  }

  /** Text of generated ids, without special tokens; of a class, its label. */
  answer(ids: Iterable<number>): string {
    return this.#form.answer(ids);
  }
}
