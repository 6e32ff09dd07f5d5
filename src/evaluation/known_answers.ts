import { createHash } from "node:crypto";
import type { Generation, TokenRows } from "../native/addon.js";
import type { GenerationForm } from "../tokenizers/answer_form.js";
import { packRows, unpackRows } from "../tokenizers/token_rows.js";
import type { Answering } from "../training/answer_rows.js";
import type { AnswerStore, StoredAnswer } from "./answer_store.js";
import { present } from "./present.js";

/** What a model says under teacher forcing. */
export interface KnownScores {
  /** Arg-max per target token. */
  readonly argmax: Int32Array;
  /** Σ −ln p over the target tokens. */
  readonly negLogLik: number;
}

/** How answers were generated. */
type Decoding = GenerationForm & { readonly maxNewTokens: number };

/**
 * What one base model has said, by token ids: free generations by their source and decoding, scores by source and target.
 * With a store the answers of earlier processes count too, and those of this one are kept for later ones.
 */
export class KnownAnswers {
  readonly #store: AnswerStore | undefined;
  readonly #tokens = new Map<string, Int32Array>();
  readonly #scores = new Map<string, KnownScores>();
  #fresh: StoredAnswer[] = [];
  #asked = 0;
  #reused = 0;

  constructor(store?: AnswerStore, stored: readonly StoredAnswer[] = []) {
    this.#store = store;
    for (const answer of stored) this.#remember(answer);
  }

  /** With the answers that `store` holds. */
  static async open(store: AnswerStore): Promise<KnownAnswers> {
    return new KnownAnswers(store, await store.read());
  }

  /** Questions that the model was asked through this object, in either protocol or in both at once. */
  get asked(): number {
    return this.#asked;
  }

  /** Questions that needed no asking. */
  get reused(): number {
    return this.#reused;
  }

  count({ asked = 0, reused = 0 }: { readonly asked?: number; readonly reused?: number }): void {
    this.#asked += asked;
    this.#reused += reused;
  }

  generation(source: Int32Array, decoding: Decoding): Int32Array | undefined {
    return this.#tokens.get(generationKey(source, decoding));
  }

  scores(source: Int32Array, target: Int32Array): KnownScores | undefined {
    return this.#scores.get(scoresKey(source, target));
  }

  learnGeneration(source: Int32Array, decoding: Decoding, tokens: Int32Array): void {
    this.#learn({ key: generationKey(source, decoding), tokens: [...tokens] });
  }

  learnScores(source: Int32Array, target: Int32Array, { argmax, negLogLik }: KnownScores): void {
    // JSON has no word for what is not finite.
    if (!Number.isFinite(negLogLik))
      this.#scores.set(scoresKey(source, target), { argmax: argmax.slice(), negLogLik });
    else this.#learn({ key: scoresKey(source, target), argmax: [...argmax], negLogLik });
  }

  /** Writes what this object has learned since it was last called; does nothing without a store. */
  async keep(): Promise<void> {
    const fresh = this.#fresh;
    this.#fresh = [];
    if (fresh.length > 0) await this.#store?.add(fresh);
  }

  /** A model that is only asked what is not known. */
  over(model: Answering): Answering {
    return {
      generate: async (source, { signal, ...decoding }): Promise<Generation> => {
        const rows = unpackRows(source);
        const keys = rows.map((row) => generationKey(row, decoding));
        const missing = new Map(
          rows.flatMap((row, i) =>
            this.#tokens.has(present(keys[i])) ? [] : [[present(keys[i]), row] as const],
          ),
        );
        this.count({ asked: missing.size, reused: new Set(keys).size - missing.size });
        if (missing.size > 0) {
          const asked: TokenRows = packRows([...missing.values()]);
          const { tokens } = await model.generate(asked, { ...decoding, ...(signal && { signal }) });
          const said = unpackRows(tokens);
          [...missing.values()].forEach((row, i) => {
            this.learnGeneration(row, decoding, present(said[i]));
          });
          await this.keep();
        }
        return { tokens: packRows(keys.map((key) => present(this.#tokens.get(key)))) };
      },
    };
  }

  #learn(answer: StoredAnswer): void {
    this.#remember(answer);
    if (this.#store) this.#fresh.push(answer);
  }

  #remember(answer: StoredAnswer): void {
    if ("tokens" in answer) this.#tokens.set(answer.key, Int32Array.from(answer.tokens));
    else {
      const { argmax, negLogLik } = answer;
      this.#scores.set(answer.key, { argmax: Int32Array.from(argmax), negLogLik });
    }
  }
}

const generationKey = (source: Int32Array, { maxNewTokens, stopAtEnd }: Decoding): string =>
  digest(`generate ${maxNewTokens} ${stopAtEnd}`, source);

const scoresKey = (source: Int32Array, target: Int32Array): string => digest("score", source, target);

/** 32 hex digits over a word and rows of ids. */
function digest(what: string, ...rows: readonly Int32Array[]): string {
  const hash = createHash("sha256").update(what);
  for (const row of rows) hash.update(`/${row.join()}`);
  return hash.digest("hex").slice(0, 32);
}
