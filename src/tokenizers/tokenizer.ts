import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { SeprogError } from "../errors.js";
import {
  type HubNormalizer,
  type HubTokenizer,
  HubTokenizerClass,
  PrecompiledNormalizer,
} from "./hub_library.js";
import { PrecompiledCharsmap } from "./precompiled_charsmap.js";
import { packRows, type TokenRows, unpackRows } from "./token_rows.js";

export interface EncodeOptions {
  /** Longest row, special tokens included; default no limit. */
  readonly maxTokens?: number;
  /** Which end of a text that is too long is kept; default "start". Special tokens are always kept. */
  readonly keep?: "start" | "end";
}

/** Rows kept; the oldest go first. */
const CACHED_TEXTS = 65_536;

/**
 * `@huggingface/tokenizers` 0.2.0 replaces precompiled maps by a fixed list that differs from T5's in zero-width
 * characters: the map itself is put in its place.
 */
function repairPrecompiled(normalizer: HubNormalizer): void {
  const charsmap = normalizer.config.precompiled_charsmap;
  if (normalizer instanceof PrecompiledNormalizer && typeof charsmap === "string") {
    const map = new PrecompiledCharsmap(charsmap);
    normalizer.normalize = (text) => map.normalize(text);
  }
  for (const part of normalizer.normalizers ?? []) repairPrecompiled(part);
}

/** Texts to ids and back, by a Hugging Face `tokenizer.json`. */
export class Tokenizer {
  readonly #hub: HubTokenizer;
  readonly #prefix: readonly number[];
  readonly #suffix: readonly number[];
  readonly #bodies = new Map<string, Int32Array>();
  /** Largest id plus one. */
  readonly vocabularySize: number;
  /** Id of characters outside the vocabulary, if the tokenizer has one. */
  readonly unknownId: number | undefined;

  /**
   * @param definition parsed content of `tokenizer.json`
   * @param source named in error messages
   * @throws SeprogError CHECKPOINT_INVALID if it is no tokenizer, UNSUPPORTED if it needs parts that are unknown
   */
  constructor(definition: object, source = "tokenizer.json") {
    try {
      this.#hub = new HubTokenizerClass(definition, { clean_up_tokenization_spaces: false });
      if (this.#hub.normalizer !== null) repairPrecompiled(this.#hub.normalizer);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const code = /^Unknown|not supported/i.test(reason) ? "UNSUPPORTED" : "CHECKPOINT_INVALID";
      throw new SeprogError(code, `expected a tokenizer in ${source} but received: ${reason}`, { cause });
    }
    this.vocabularySize = Math.max(...this.#hub.get_vocab().values()) + 1;
    const unknown = this.#hub.model?.unk_token_id;
    this.unknownId = typeof unknown === "number" ? unknown : undefined;
    [this.#prefix, this.#suffix] = this.#findSpecialTokens();
  }

  /**
   * @param folder a Hugging Face model folder
   * @throws SeprogError CHECKPOINT_INVALID if `tokenizer.json` is missing or no tokenizer
   */
  static async load(folder: string): Promise<Tokenizer> {
    const path = join(folder, "tokenizer.json");
    let definition: unknown;
    try {
      definition = JSON.parse(await readFile(path, "utf8"));
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new SeprogError(
        "CHECKPOINT_INVALID",
        `expected a tokenizer at ${path} but received: ${reason}; save the tokenizer in its fast form (tokenizer.json)`,
        { cause },
      );
    }
    if (typeof definition !== "object" || definition === null)
      throw new SeprogError("CHECKPOINT_INVALID", `expected a JSON object at ${path}`);
    return new Tokenizer(definition, path);
  }

  /**
   * Ids with the special tokens of the family around them.
   * @throws SeprogError CONFIG_INVALID if `maxTokens` leaves no room beside the special tokens
   */
  encode(
    text: string,
    { maxTokens = Number.POSITIVE_INFINITY, keep = "start" }: EncodeOptions = {},
  ): Int32Array {
    const body = this.#body(text);
    const room = maxTokens - this.#prefix.length - this.#suffix.length;
    if (room < 1)
      throw new SeprogError(
        "CONFIG_INVALID",
        `expected room for a token beside ${this.#prefix.length + this.#suffix.length} special ones for \`maxTokens\` ` +
          `but received ${maxTokens}`,
      );
    const from = keep === "end" ? Math.max(0, body.length - room) : 0;
    const kept = body.length <= room ? body : body.subarray(from, from + room);
    const ids = new Int32Array(this.#prefix.length + kept.length + this.#suffix.length);
    ids.set(this.#prefix);
    ids.set(kept, this.#prefix.length);
    ids.set(this.#suffix, this.#prefix.length + kept.length);
    return ids;
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
    if (this.#bodies.size >= CACHED_TEXTS) {
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
}
