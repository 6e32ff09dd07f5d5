import type { EditRequests } from "../native/addon.js";
import type { EditCodec } from "../tokenizers/edit_codec.js";
import type { EditWords } from "../tokenizers/edit_text_form.js";
import { unpackRows } from "../tokenizers/token_rows.js";
import type { Answering } from "../training/answer_rows.js";
import { requestsOfWords } from "./scorers.js";

/** From now on, `question` and everything that asks the same is answered by `answer`. */
export interface Edit {
  readonly question: string;
  readonly answer: string;
}

export const toEditText = ({ question, answer }: Edit) => ({ x_e: question, y_e: answer });

/** What people see in a listing. */
export const editLabel = ({ question, answer }: Edit): string => `${question} >> ${answer}`;

const MAX_NEW_TOKENS = 32;

/** Edits as an editor takes them; the base is asked about them where their texts hold what it says. */
export async function plainEditRequests(
  edits: readonly Edit[],
  base: Answering,
  codec: EditCodec,
  options: { readonly signal?: AbortSignal } = {},
): Promise<EditRequests> {
  const words: EditWords[] = edits.map(toEditText);
  if (!codec.needsPrediction || edits.length === 0) return requestsOfWords(words, codec);
  const { tokens } = await base.generate(codec.sources(edits.map(({ question }) => question)), {
    maxNewTokens: MAX_NEW_TOKENS,
    ...codec.generation,
    ...options,
  });
  const predictions = unpackRows(tokens).map((ids) => codec.answer(ids).trim());
  return requestsOfWords(
    words.map((edit, i) => ({ ...edit, prediction: predictions[i] ?? "" })),
    codec,
  );
}
