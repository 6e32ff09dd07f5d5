import { SeprogError } from "../errors.js";
import type { EditCodec } from "../tokenizers/edit_codec.js";
import { type InputView, viewOptions } from "../tokenizers/router_texts.js";
import { packRows, unpackRows } from "../tokenizers/token_rows.js";
import type { OnEvent } from "../training/events.js";
import { Pace } from "../training/progress.js";
import { goldEdit, type Question } from "./questions.js";
import type { BaseScorer, EditedScorer, Scorer } from "./scorers.js";

/** What a model says to one question, freely and under teacher forcing on the first accepted answer. */
export interface Answer {
  readonly text: string;
  /** As generated. */
  readonly tokens: Int32Array;
  /** Arg-max per target token. */
  readonly argmax: Int32Array;
  readonly target: Int32Array;
  /** Σ −ln p over the target tokens. */
  readonly negLogLik: number;
  readonly scope?: { readonly logit: number; readonly selected: number };
}

export interface AskOptions {
  /** Rows a call. */
  readonly batchSize: number;
  readonly maxNewTokens: number;
  /** Whether the model is told which edit each row is about. */
  readonly tellGoldEdits?: boolean;
  readonly signal?: AbortSignal;
}

interface Row {
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

function* pieces<T>(items: readonly T[], size: number): Generator<readonly T[]> {
  for (let from = 0; from < items.length; from += size) yield items.slice(from, from + size);
}

const pairRows = (rows: readonly Row[]) => ({
  source: packRows(rows.map(({ source }) => source)),
  target: packRows(rows.map(({ target }) => target)),
});

function callOf(rows: readonly Row[], { tellGoldEdits, signal }: Omit<AskOptions, "maxNewTokens">) {
  return {
    ...(signal && { signal }),
    ...viewOptions(rows.map(({ view }) => view)),
    ...(tellGoldEdits && { goldEdits: Int32Array.from(rows, (row) => row.goldEdit) }),
  };
}

/** Answers in the order of the rows. */
export async function askAll(
  scorer: Scorer,
  rows: readonly Row[],
  codec: EditCodec,
  options: AskOptions,
): Promise<Answer[]> {
  const { batchSize, maxNewTokens } = options;
  const answers: Answer[] = [];
  for (const piece of pieces(rows, batchSize)) {
    const call = callOf(piece, options);
    const batch = pairRows(piece);
    const generation = await scorer.generate(batch.source, { maxNewTokens, ...codec.generation, ...call });
    const scores = await scorer.score(batch, call);
    const argmaxRows = unpackRows({ ids: scores.argmax, lengths: batch.target.lengths });
    unpackRows(generation.tokens).forEach((tokens, i) => {
      const { scope } = generation;
      answers.push({
        text: codec.answer(tokens),
        tokens: tokens.slice(),
        argmax: (argmaxRows[i] ?? new Int32Array()).slice(),
        target: piece[i]?.target ?? new Int32Array(),
        negLogLik: scores.rowLoss[i] ?? Number.NaN,
        ...(scope && { scope: { logit: scope.logit[i] ?? Number.NaN, selected: scope.selected[i] ?? -1 } }),
      });
    });
  }
  return answers;
}

function splitRows(values: Float32Array, lengths: Int32Array): Float32Array[] {
  let at = 0;
  return Array.from(lengths, (length) => {
    at += length;
    return values.subarray(at - length, at);
  });
}

/** Σ KL(base ‖ edited) over the target tokens of each row that is `compared`, 0 for the others. */
export async function klOfRows<Edited extends EditedScorer>(
  base: BaseScorer<Edited>,
  edited: Edited,
  rows: readonly Row[],
  compared: readonly boolean[],
  options: AskOptions,
): Promise<number[]> {
  const sums = rows.map(() => 0);
  const chosen = [...rows.keys()].filter((i) => compared[i]);
  for (const piece of pieces(chosen, options.batchSize)) {
    const pieceRows = piece.map((i) => rows[i] as Row);
    const batch = pairRows(pieceRows);
    const { kl } = await base.compare(edited, batch, callOf(pieceRows, options));
    const ofRow = splitRows(kl, batch.target.lengths);
    piece.forEach((i, at) => {
      sums[i] = ofRow[at]?.reduce((sum, value) => sum + value, 0) ?? Number.NaN;
    });
  }
  return sums;
}

/**
 * The unedited model's answers: each distinct row is asked once, however many episodes and K it occurs in. One object
 * belongs to one model; the reference of a drawdown is always the original model.
 */
export class BaseAnswers {
  readonly #base: Scorer;
  readonly #codec: EditCodec;
  readonly #options: Omit<AskOptions, "signal">;
  readonly #known = new Map<string, Answer>();

  constructor(base: Scorer, codec: EditCodec, options: Omit<AskOptions, "signal">) {
    this.#base = base;
    this.#codec = codec;
    this.#options = options;
  }

  /** Asks what is not known yet. */
  async learn(rows: readonly Row[], { signal, onEvent }: LearnOptions = {}): Promise<void> {
    const missing = new Map(rows.map((row) => [keyOf(row), row] as const));
    for (const key of this.#known.keys()) missing.delete(key);
    const pace = new Pace(0, missing.size);
    let step = 0;
    for (const piece of pieces([...missing], this.#options.batchSize)) {
      const options = { ...this.#options, ...(signal && { signal }) };
      const answers = await askAll(
        this.#base,
        piece.map(([, row]) => row),
        this.#codec,
        options,
      );
      answers.forEach((answer, i) => {
        this.#known.set(piece[i]?.[0] ?? "", answer);
      });
      step += piece.length;
      onEvent?.({
        type: "progress",
        phase: "prepare",
        step,
        total: missing.size,
        figures: {},
        elapsedMs: pace.elapsedMs,
        etaMs: pace.etaMs(step),
      });
    }
  }

  of(row: Row): Answer {
    const answer = this.#known.get(keyOf(row));
    if (answer === undefined)
      throw new SeprogError("INTERNAL", "expected the base to have been asked every question");
    return answer;
  }
}

interface LearnOptions {
  readonly signal?: AbortSignal;
  readonly onEvent?: OnEvent;
}

const keyOf = ({ source, target }: Row): string => `${source.join(",")}/${target.join(",")}`;
