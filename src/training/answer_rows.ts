import type { Generation, TokenRows } from "../native/addon.js";
import type { GenerationForm } from "../tokenizers/answer_form.js";
import type { EditCodec } from "../tokenizers/edit_codec.js";
import { packRows, unpackRows } from "../tokenizers/token_rows.js";
import type { Figures, OnEvent, ProgressEvent } from "./events.js";
import { Pace } from "./progress.js";

export interface Answering {
  generate(
    source: TokenRows,
    options: GenerationForm & { readonly maxNewTokens: number; readonly signal?: AbortSignal },
  ): Promise<Generation>;
}

/** A question's tokens; whatever else a row holds is the caller's. */
export interface QuestionRow {
  readonly source: Int32Array;
}

export interface AnswerOptions {
  /** Rows of one call. */
  readonly batchSize: number;
  readonly maxNewTokens: number;
  readonly signal?: AbortSignal;
  readonly onEvent?: OnEvent;
}

/** How an asking shows in the progress of a run. */
export interface AnswerProgress {
  readonly phase: ProgressEvent["phase"];
  /** After `done` rows. */
  readonly figures?: (done: number) => Figures;
}

/** Asks every row by free generation, shortest first, and hands each answer to `take`. */
export async function answerRows<Row extends QuestionRow>(
  model: Answering,
  rows: readonly Row[],
  codec: EditCodec,
  take: (row: Row, answer: string) => void,
  { phase, figures = () => ({}) }: AnswerProgress,
  { batchSize, maxNewTokens, signal, onEvent }: AnswerOptions,
): Promise<void> {
  const sorted = [...rows].sort((a, b) => a.source.length - b.source.length);
  const total = sorted.length;
  const pace = new Pace(0, total);
  for (let from = 0; from < total; from += batchSize) {
    const piece = sorted.slice(from, from + batchSize);
    const { tokens } = await model.generate(packRows(piece.map(({ source }) => source)), {
      maxNewTokens,
      ...codec.generation,
      ...(signal && { signal }),
    });
    const answers = unpackRows(tokens);
    for (const [i, row] of piece.entries()) take(row, codec.answer(answers[i] ?? []));
    const step = from + piece.length;
    onEvent?.({
      type: "progress",
      phase,
      step,
      total,
      figures: figures(step),
      elapsedMs: pace.elapsedMs,
      etaMs: pace.etaMs(step),
    });
  }
}
