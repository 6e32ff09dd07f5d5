import { SeprogError } from "../errors.js";
import type { EditCodec } from "../tokenizers/edit_codec.js";
import { unpackRows } from "../tokenizers/token_rows.js";
import type { OnEvent } from "../training/events.js";
import { Pace } from "../training/progress.js";
import { type Answer, type AskOptions, askAll } from "./answers.js";
import { askInBatches } from "./batches.js";
import { KnownAnswers, type KnownScores } from "./known_answers.js";
import { present } from "./present.js";
import { pairRows, type Row, rowTokens } from "./rows.js";
import type { Scorer } from "./scorers.js";

export interface LearnOptions {
  readonly signal?: AbortSignal;
  readonly onEvent?: OnEvent;
}

/**
 * The unedited model's answers: each distinct row is asked once, however many episodes and K it occurs in. One object
 * belongs to one model; the reference of a drawdown is always the original model.
 */
export class BaseAnswers {
  readonly #base: Scorer;
  readonly #codec: EditCodec;
  readonly #options: Omit<AskOptions, "signal">;
  readonly #known: KnownAnswers;

  /** @param known of the same model, decoded and computed alike */
  constructor(
    base: Scorer,
    codec: EditCodec,
    options: Omit<AskOptions, "signal">,
    known: KnownAnswers = new KnownAnswers(),
  ) {
    this.#base = base;
    this.#codec = codec;
    this.#options = options;
    this.#known = known;
  }

  /**
   * Asks what is not known yet. Each part is made while the engine works on the one before it.
   * @param total rows of all parts
   */
  async learn(parts: Iterable<readonly Row[]>, total: number, options: LearnOptions = {}): Promise<void> {
    const pace = new Pace(0, total);
    let step = 0;
    let running: Promise<void> = Promise.resolve();
    for (const rows of parts) {
      await running;
      running = this.#learnPart(rows, options).then(() => {
        step += rows.length;
        const { elapsedMs } = pace;
        const etaMs = pace.etaMs(step);
        options.onEvent?.({ type: "progress", phase: "prepare", step, total, figures: {}, elapsedMs, etaMs });
      });
      // Its failure shows when it is awaited.
      running.catch(() => undefined);
    }
    await running;
  }

  async #learnPart(rows: readonly Row[], { signal }: LearnOptions): Promise<void> {
    const distinct = new Map(rows.map((row) => [`${row.source.join()}/${row.target.join()}`, row] as const));
    const unknown = [...distinct.values()].filter((row) => this.#find(row) === undefined);
    this.#known.count({ asked: unknown.length, reused: distinct.size - unknown.length });
    const isGenerated = (row: Row): boolean => this.#generation(row) !== undefined;
    const call = signal && { signal };
    await this.#scoreAll(unknown.filter(isGenerated), call);
    const unsaid = unknown.filter((row) => !isGenerated(row));
    const { answers } = await askAll(this.#base, unsaid, this.#codec, { ...this.#options, ...call });
    unsaid.forEach(({ source, target }, i) => {
      const answer = present(answers[i]);
      this.#known.learnGeneration(source, this.#decoding, answer.tokens);
      this.#known.learnScores(source, target, answer);
    });
    await this.#known.keep();
  }

  /** Teacher forcing alone, for questions whose free answer is known. */
  async #scoreAll(rows: readonly Row[], call: { readonly signal: AbortSignal } | undefined): Promise<void> {
    const { budget, maxNewTokens } = this.#options;
    await askInBatches({
      items: rows,
      tokensOf: (row) => rowTokens(row, maxNewTokens),
      sizes: budget.of("answer"),
      ask: (batch, measure) => this.#base.score(pairRows(batch), { ...call, ...budget.options(measure) }),
      take: (batch, { argmax, rowLoss }) => {
        const lengths = Int32Array.from(batch, ({ target }) => target.length);
        unpackRows({ ids: argmax, lengths }).forEach((ids, i) => {
          const { source, target } = present(batch[i]);
          this.#known.learnScores(source, target, { argmax: ids, negLogLik: present(rowLoss[i]) });
        });
      },
    });
  }

  of(row: Row): Answer {
    const answer = this.#find(row);
    if (answer === undefined)
      throw new SeprogError("INTERNAL", "expected the base to have been asked every question");
    return answer;
  }

  #find(row: Row): Answer | undefined {
    const tokens = this.#generation(row);
    const scores: KnownScores | undefined = this.#known.scores(row.source, row.target);
    return tokens && scores && { text: this.#codec.answer(tokens), tokens, target: row.target, ...scores };
  }

  get #decoding() {
    return { maxNewTokens: this.#options.maxNewTokens, ...this.#codec.generation };
  }

  #generation({ source }: Row): Int32Array | undefined {
    return this.#known.generation(source, this.#decoding);
  }
}
