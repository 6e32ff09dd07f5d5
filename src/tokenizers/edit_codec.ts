import { packRows, type TokenRows } from "./token_rows.js";
import type { Tokenizer } from "./tokenizer.js";

export interface TextLimits {
  readonly maxSourceTokens: number;
  readonly maxTargetTokens: number;
  readonly maxEditTokens: number;
  /** What joins x_e and y_e into the text that the edit encoder reads. */
  readonly editSeparator: string;
}

export const DEFAULT_TEXT_LIMITS: TextLimits = {
  maxSourceTokens: 32,
  maxTargetTokens: 32,
  maxEditTokens: 64,
  editSeparator: " >> ",
};

interface EditText {
  readonly x_e: string;
  readonly y_e: string;
}

/** How questions, answers and edits become token rows of a sequence model and of an editor's encoder (seprog.md §2). */
export class EditCodec {
  readonly #base: Tokenizer;
  readonly #edit: Tokenizer;
  readonly #limits: TextLimits;

  /** @param edit tokenizer of the edit encoder, where it is not the base model's */
  constructor(base: Tokenizer, limits: TextLimits = DEFAULT_TEXT_LIMITS, edit: Tokenizer = base) {
    this.#base = base;
    this.#edit = edit;
    this.#limits = limits;
  }

  /** Cut on the right. */
  source(x: string): Int32Array {
    return this.#base.encode(x, { maxTokens: this.#limits.maxSourceTokens });
  }

  /** Ends with the stop token; cut on the right. */
  target(y: string): Int32Array {
    return this.#base.encode(y, { maxTokens: this.#limits.maxTargetTokens });
  }

  /** `x_e >> y_e`; cut on the left, so that y_e stays [R3]. */
  editText({ x_e, y_e }: EditText): Int32Array {
    const text = x_e + this.#limits.editSeparator + y_e;
    return this.#edit.encode(text, { maxTokens: this.#limits.maxEditTokens, keep: "end" });
  }

  sources(xs: readonly string[]): TokenRows {
    return packRows(xs.map((x) => this.source(x)));
  }

  targets(ys: readonly string[]): TokenRows {
    return packRows(ys.map((y) => this.target(y)));
  }

  editTexts(edits: readonly EditText[]): TokenRows {
    return packRows(edits.map((edit) => this.editText(edit)));
  }

  /** Text of generated ids, without special tokens. */
  answer(ids: Iterable<number>): string {
    return this.#base.decode(ids);
  }
}
