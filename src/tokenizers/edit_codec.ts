import { SeprogError } from "../errors.js";
import {
  ANSWER_FORMS,
  type AnswerForm,
  type AnsweringModel,
  type AnswerKind,
  type GenerationForm,
} from "./answer_form.js";
import { type EditTextForm, type EditWords, QUESTION_AND_ANSWER } from "./edit_text_form.js";
import { type InputView, RouterTexts, type RowViews, viewOptions } from "./router_texts.js";
import { DEFAULT_TEXT_LIMITS, type TextLimits } from "./text_limits.js";
import { packRows, packTypedRows, type TokenRow, type TokenRows } from "./token_rows.js";
import type { Tokenizer } from "./tokenizer.js";

/** Who reads the texts of edits, and how they are written. */
export interface EditReader {
  /** Default: the base model's. It may be another family's. */
  readonly tokenizer?: Tokenizer;
  readonly form?: EditTextForm;
  /** Of the model that answers behind an edit, for editors with one. */
  readonly counterfactual?: Tokenizer;
}

/** How questions, answers and edits become token rows of a model and of an editor's encoder (seprog.md §2). */
export class EditCodec {
  readonly #form: AnswerForm;
  readonly #reader: Required<Omit<EditReader, "counterfactual">>;
  readonly #router: RouterTexts | undefined;
  readonly #answers: AnswerKind;
  readonly #limits: TextLimits;

  /**
   * @param tokenizer the base model's
   * @param model decides what an answer is
   * @param reader of edit texts; default: question and answer for the base model's own encoder
   */
  constructor(
    tokenizer: Tokenizer,
    model: AnsweringModel,
    limits: TextLimits = DEFAULT_TEXT_LIMITS,
    { counterfactual, ...reader }: EditReader = {},
  ) {
    this.#form = ANSWER_FORMS[model.answers](tokenizer, limits, model);
    this.#reader = { tokenizer, form: QUESTION_AND_ANSWER, ...reader };
    this.#router =
      counterfactual && new RouterTexts(this.#reader.tokenizer, counterfactual, model.answers, limits);
    this.#answers = model.answers;
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

  /** Whether the text of an edit holds what the base model answers to its question. */
  get needsPrediction(): boolean {
    return this.#reader.form.needsPrediction;
  }

  /** What the editor's encoder reads of an edit. @throws SeprogError INTERNAL without a prediction that is needed */
  editText({ x_e, y_e, prediction }: EditWords): TokenRow {
    const { tokenizer, form } = this.#reader;
    const { maxEditTokens, editSeparator } = this.#limits;
    if (form.needsPrediction && prediction === undefined)
      throw new SeprogError("INTERNAL", "expected the base model's answer for the text of an edit");
    const words = { x_e, y_e, prediction: prediction ?? "" };
    const written = form.write(words, tokenizer.separator, this.#answers);
    const cut = { maxTokens: maxEditTokens, keep: form.keep };
    if (typeof written === "string") return { ids: tokenizer.encode(written, cut) };
    const [first, second] = written;
    if (tokenizer.takesPairs) return tokenizer.encodePair(first, second, cut);
    return { ids: tokenizer.encode(first + editSeparator + second, cut) };
  }

  sources(xs: readonly string[]): TokenRows {
    return packRows(xs.map((x) => this.source(x)));
  }

  targets(ys: readonly string[]): TokenRows {
    return packRows(ys.map((y) => this.target(y)));
  }

  editTexts(edits: readonly EditWords[]): TokenRows {
    return packTypedRows(edits.map((edit) => this.editText(edit)));
  }

  /** What a counterfactual model reads of edits before an input; nothing for editors without such a model. */
  editPrefixes(edits: readonly EditWords[]): { readonly editPrefix?: TokenRows } {
    const router = this.#router;
    return router ? { editPrefix: packRows(edits.map((edit) => router.prefix(edit))) } : {};
  }

  /** An input as the models of a router read it; undefined for editors without. */
  view(x: string): InputView | undefined {
    return this.#router?.view(x);
  }

  /** Options of calls that answer these inputs: how the models of a router read them. */
  views(xs: readonly string[]): { readonly views?: RowViews } {
    return viewOptions(xs.map((x) => this.view(x)));
  }

  /** Text of generated ids, without special tokens; of a class, its label. */
  answer(ids: Iterable<number>): string {
    return this.#form.answer(ids);
  }
}
