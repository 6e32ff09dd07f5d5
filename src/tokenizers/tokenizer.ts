import { SeprogError } from "../errors.js";
import { type HubTokenizer, HubTokenizerClass } from "./hub_library.js";
import { repair } from "./hub_repairs.js";
import { concatenate, packRows, type TokenRow, type TokenRows, unpackRows } from "./token_rows.js";
import { readDefinition } from "./tokenizer_files.js";

export interface CutOptions {
  /** Longest row, special tokens included; default no limit. */
  readonly maxTokens?: number;
  /** Which end of a text that is too long is kept; default "start". Special tokens are always kept. */
  readonly keep?: "start" | "end";
}

export interface EncodeOptions extends CutOptions {
  /** Those of the family to put around the text; default "both". "after": only what ends a text. */
  readonly specialTokens?: "both" | "after" | "none";
}

export interface TokenizerOptions {
  /** Texts whose ids are kept, the oldest go first; default 65,536, as training asks for the same texts in every epoch. */
  readonly cachedTexts?: number | undefined;
}

/** Texts to ids and back, by a Hugging Face `tokenizer.json`. */
export class Tokenizer {
  readonly #hub: HubTokenizer;
  readonly #prefix: readonly number[];
  readonly #suffix: readonly number[];
  readonly #separator: readonly number[] | undefined;
  readonly #bodies = new Map<string, Int32Array>();
  /** How many texts' ids are kept. */
  readonly cachedTexts: number;
  /** Largest id plus one. */
  readonly vocabularySize: number;
  /** Id of characters outside the vocabulary, if the tokenizer has one. */
  readonly unknownId: number | undefined;

  /**
   * @param definition parsed content of `tokenizer.json`
   * @param source named in error messages
   * @throws SeprogError CHECKPOINT_INVALID if it is no tokenizer, UNSUPPORTED if it needs parts that are unknown
   */
  constructor(
    definition: object,
    source = "tokenizer.json",
    { cachedTexts = 65_536 }: TokenizerOptions = {},
  ) {
    this.cachedTexts = cachedTexts;
    try {
      this.#hub = new HubTokenizerClass(definition, { clean_up_tokenization_spaces: false });
      repair(this.#hub);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const code = /^Unknown|not supported/i.test(reason) ? "UNSUPPORTED" : "CHECKPOINT_INVALID";
      throw new SeprogError(code, `expected a tokenizer in ${source} but received: ${reason}`, { cause });
    }
    this.vocabularySize = this.#hub.model?.vocab.length ?? 0;
    const unknown = this.#hub.model?.unk_token_id;
    this.unknownId = typeof unknown === "number" ? unknown : undefined;
    [this.#prefix, this.#suffix] = this.#findSpecialTokens();
    this.#separator = this.#findSeparator();
  }

  /**
   * @param folder a Hugging Face model folder: `tokenizer.json`, or the family's own files
   * @throws SeprogError CHECKPOINT_INVALID if the files are missing or damaged, UNSUPPORTED if they are of a form that
   * is not known
   */
  static async load(folder: string, options: TokenizerOptions = {}): Promise<Tokenizer> {
    const { definition, path } = await readDefinition(folder);
    return new Tokenizer(definition, path, options);
  }

  /** Tokens that the family puts before every text. */
  get prefix(): readonly number[] {
    return this.#prefix;
  }

  /** Tokens that the family puts after every text; the last is the stop token of a sequence model. */
  get suffix(): readonly number[] {
    return this.#suffix;
  }

  /** The token that ends a text, as text; empty where the family has none. */
  get separator(): string {
    const end = this.#suffix.at(-1);
    return end === undefined
      ? ""
      : this.#hub.decode([end], {
          skip_special_tokens: false,
          clean_up_tokenization_spaces: false,
        });
  }

  /** Whether the family has a form for two texts that tells them apart by token types. */
  get takesPairs(): boolean {
    return this.#separator !== undefined;
  }

  /**
   * Ids with the special tokens of the family around them.
   * @throws SeprogError CONFIG_INVALID if `maxTokens` leaves no room beside the special tokens
   */
  encode(text: string, { specialTokens = "both", ...cut }: EncodeOptions = {}): Int32Array {
    const prefix = specialTokens === "both" ? this.#prefix : [];
    const suffix = specialTokens === "none" ? [] : this.#suffix;
    const [body = []] = cutTogether([this.#body(text)], prefix.length + suffix.length, cut);
    return concatenate([prefix, body, suffix]);
  }

  /**
   * Two texts as one row, cut as if they were one text: BERT's [CLS] a [SEP] b [SEP], with types 0 up to the first
   * separator and 1 after it.
   * @throws SeprogError UNSUPPORTED for families without such a form, CONFIG_INVALID as `encode`
   */
  encodePair(a: string, b: string, cut: CutOptions = {}): Required<TokenRow> {
    const separator = this.#separator;
    if (separator === undefined)
      throw new SeprogError("UNSUPPORTED", "expected a tokenizer with a form for sentence pairs, as BERT's");
    const special = this.#prefix.length + separator.length + this.#suffix.length;
    const [first = [], second = []] = cutTogether([this.#body(a), this.#body(b)], special, cut);
    const ids = concatenate([this.#prefix, first, separator, second, this.#suffix]);
    const secondFrom = this.#prefix.length + first.length + separator.length;
    return { ids, types: new Int32Array(ids.length).fill(1, secondFrom) };
  }

  encodeBatch(texts: readonly string[], options: EncodeOptions = {}): TokenRows {
    return packRows(texts.map((text) => this.encode(text, options)));
  }

  /** Text without special tokens, blanks as they are; ids outside the vocabulary give nothing. */
  decode(ids: Iterable<number>): string {
    const list = Array.from(ids);
    return list.length === 0
      ? ""
      : this.#hub.decode(list, { skip_special_tokens: true, clean_up_tokenization_spaces: false });
  }

  decodeBatch(rows: TokenRows): string[] {
    return unpackRows(rows).map((row) => this.decode(row));
  }

  /** How many of the ids stand for characters that the vocabulary lacks. */
  countUnknown(ids: Iterable<number>): number {
    let count = 0;
    for (const id of ids) if (id === this.unknownId) count += 1;
    return count;
  }

  /**
   * @param modelVocabulary rows of the model's embedding table
   * @throws SeprogError CHECKPOINT_INVALID if the tokenizer has ids that the model lacks
   */
  assertFits(modelVocabulary: number): void {
    if (this.vocabularySize > modelVocabulary)
      throw new SeprogError(
        "CHECKPOINT_INVALID",
        `expected at most ${modelVocabulary} tokens for the model's vocabulary but received ${this.vocabularySize}; ` +
          "the tokenizer belongs to another model",
      );
  }

  #body(text: string): Int32Array {
    const cached = this.#bodies.get(text);
    if (cached !== undefined) return cached;
    const body = Int32Array.from(this.#hub.encode(text, { add_special_tokens: false }).ids);
    if (this.#bodies.size >= this.cachedTexts) {
      const oldest = this.#bodies.keys().next();
      if (!oldest.done) this.#bodies.delete(oldest.value);
    }
    this.#bodies.set(text, body);
    return body;
  }

  /** What the family puts before and after a text. */
  #findSpecialTokens(): [readonly number[], readonly number[]] {
    const bare = this.#hub.encode("a", { add_special_tokens: false }).ids;
    const whole = this.#hub.encode("a").ids;
    for (let at = 0; at + bare.length <= whole.length; at++)
      if (bare.every((id, i) => whole[at + i] === id))
        return [whole.slice(0, at), whole.slice(at + bare.length)];
    throw new SeprogError(
      "UNSUPPORTED",
      "expected a tokenizer that puts special tokens around a text, not inside",
    );
  }

  /** Between the texts of a pair; undefined unless the second has token type 1 and one separator ends each. */
  #findSeparator(): readonly number[] | undefined {
    const bare = this.#hub.encode("a", { add_special_tokens: false }).ids;
    const pair = this.#hub.encode("a", { text_pair: "a", return_token_type_ids: true });
    const from = this.#prefix.length + bare.length;
    const separator = pair.ids.slice(from, pair.ids.length - bare.length - this.#suffix.length);
    const isPair =
      pair.token_type_ids?.at(-1) === 1 &&
      separator.length > 0 &&
      separator.length === this.#suffix.length &&
      separator.every((id, i) => id === this.#suffix[i]);
    return isPair ? separator : undefined;
  }
}

/**
 * The kept parts of texts that share one row beside `special` other tokens.
 * @throws SeprogError CONFIG_INVALID if no token of them has room
 */
function cutTogether(
  bodies: readonly Int32Array[],
  special: number,
  { maxTokens = Number.POSITIVE_INFINITY, keep = "start" }: CutOptions,
): Int32Array[] {
  const room = maxTokens - special;
  if (room < 1)
    throw new SeprogError(
      "CONFIG_INVALID",
      `expected room for a token beside ${special} special ones for \`maxTokens\` but received ${maxTokens}`,
    );
  const total = bodies.reduce((sum, { length }) => sum + length, 0);
  const from = keep === "end" ? Math.max(0, total - room) : 0;
  let at = 0;
  return bodies.map((body) => {
    const kept = body.subarray(Math.max(0, from - at), Math.max(0, from + room - at));
    at += body.length;
    return kept;
  });
}
