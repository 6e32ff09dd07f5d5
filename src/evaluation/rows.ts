import type { PairRows, RowViews } from "../native/addon.js";
import type { EditCodec } from "../tokenizers/edit_codec.js";
import { type InputView, viewOptions } from "../tokenizers/router_texts.js";
import { packRows } from "../tokenizers/token_rows.js";
import { goldEdit, type Question } from "./questions.js";

/** A question as a model reads it, with the answer that is scored by teacher forcing. */
export interface Row {
  readonly source: Int32Array;
  readonly target: Int32Array;
  readonly goldEdit: number;
  /** For editors with models beside the base. */
  readonly view?: InputView | undefined;
}

export function questionRows(questions: readonly Question[], codec: EditCodec): Row[] {
  return questions.map((question) => ({
    source: codec.source(question.x),
    target: codec.target(question.accepted[0]),
    goldEdit: goldEdit(question),
    view: codec.view(question.x),
  }));
}

export const pairRows = (rows: readonly Row[]): PairRows => ({
  source: packRows(rows.map(({ source }) => source)),
  target: packRows(rows.map(({ target }) => target)),
});

/** What goes with the rows of a call beside their tokens. */
export function rowNotes(
  rows: readonly Row[],
  tellGoldEdits: boolean,
): { readonly views?: RowViews; readonly goldEdits?: Int32Array } {
  return {
    ...viewOptions(rows.map(({ view }) => view)),
    ...(tellGoldEdits && { goldEdits: Int32Array.from(rows, (row) => row.goldEdit) }),
  };
}

/** Tokens that a call has in hand for a row at most, with as many generated ones. */
export const rowTokens = ({ source, target, view }: Row, maxNewTokens: number): number =>
  Math.max(source.length, view?.classifier.length ?? 0, view?.counterfactual.length ?? 0) +
  Math.max(target.length, maxNewTokens);

/** Equal for rows to which an edited model gives one and the same answer. */
export function rowKey({ source, target, goldEdit, view }: Row, tellGoldEdits: boolean): string {
  const seen = view ? [view.classifier.join(), view.counterfactual.join()] : [];
  return [source.join(), target.join(), ...seen, ...(tellGoldEdits ? [goldEdit] : [])].join("/");
}
