import type { AnswerKind } from "./answer_form.js";
import type { EditTextForm, EditWords } from "./edit_text_form.js";
import type { TextLimits } from "./text_limits.js";
import { concatenate, packRows, type TokenRows } from "./token_rows.js";
import type { Tokenizer } from "./tokenizer.js";

/** An input as the models of a router read it. */
export interface InputView {
  readonly classifier: Int32Array;
  /** As it stands behind the prefix of an edit. */
  readonly counterfactual: Int32Array;
}

/** Inputs as the models of a router read them, one row a row. */
export interface RowViews {
  readonly classifier: TokenRows;
  readonly counterfactual: TokenRows;
}

/** The views of a call's rows, as its options take them; nothing where the rows have none. */
export function viewOptions(rows: readonly (InputView | undefined)[]): { readonly views?: RowViews } {
  const views = rows.flatMap((view) => view ?? []);
  if (views.length === 0) return {};
  const classifier = packRows(views.map((view) => view.classifier));
  const counterfactual = packRows(views.map((view) => view.counterfactual));
  return { views: { classifier, counterfactual } };
}

/**
 * How a scope classifier reads an edit: `x_e [SEP] y_e [SEP]`, the separators literally and without blanks around them.
 * Of answers that continue a text it reads the text alone, the end of it (serac.md §1).
 */
export const SEPARATED_WORDS: EditTextForm = {
  needsPrediction: false,
  keep: "end",
  write: ({ x_e, y_e }, separator, answers) =>
    answers === "continuation" ? x_e : `${x_e}${separator}${y_e}${separator}`,
};

/**
 * What the models of a router read of inputs and edits: the counterfactual model `x_e y_e x'` as one text, of which the
 * prefix belongs to the edit. A text that continues is set off by the end of text, which the engine puts in.
 */
export class RouterTexts {
  readonly #classifier: Tokenizer;
  readonly #counterfactual: Tokenizer;
  readonly #answers: AnswerKind;
  readonly #limits: TextLimits;

  constructor(classifier: Tokenizer, counterfactual: Tokenizer, answers: AnswerKind, limits: TextLimits) {
    this.#classifier = classifier;
    this.#counterfactual = counterfactual;
    this.#answers = answers;
    this.#limits = limits;
  }

  /** With the tokens that begin a text, without those that end it; cut on the left, so that y_e stays. */
  prefix({ x_e, y_e }: EditWords): Int32Array {
    const maxTokens = this.#limits.maxEditTokens;
    const words = this.#counterfactual.encode(`${x_e} ${y_e}`, {
      specialTokens: "none",
      keep: "end",
      maxTokens,
    });
    return concatenate([this.#counterfactual.prefix, words]);
  }

  view(x: string): InputView {
    return { classifier: this.#forClassifier(x), counterfactual: this.#behindEdit(x) };
  }

  #forClassifier(x: string): Int32Array {
    const { maxSourceTokens, maxEditTokens } = this.#limits;
    // What is continued is compared by its end, as its edit is.
    return this.#answers === "continuation"
      ? this.#classifier.encode(x, { maxTokens: maxEditTokens, keep: "end" })
      : this.#classifier.encode(x, { maxTokens: maxSourceTokens });
  }

  /** Tokens of a word depend on the blank before it. */
  #behindEdit(x: string): Int32Array {
    const maxTokens = this.#limits.maxSourceTokens;
    return this.#answers === "continuation"
      ? this.#counterfactual.encode(x, { maxTokens, keep: "end", specialTokens: "none" })
      : this.#counterfactual.encode(` ${x}`, { maxTokens, specialTokens: "after" });
  }
}
