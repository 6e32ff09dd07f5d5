import * as library from "@huggingface/tokenizers";
import type { BertNormalizerConfig } from "./bert_normalizer.js";

/**
 * The part of `@huggingface/tokenizers` 0.2.0 that is used. Its own typings do not resolve under Node's module rules
 * (relative imports without extension), so they are stated here.
 */
export interface HubNormalizer {
  readonly config: BertNormalizerConfig & { readonly precompiled_charsmap?: string | null };
  /** Of a sequence. */
  readonly normalizers?: readonly HubNormalizer[];
  normalize(text: string): string;
}

export interface HubPreTokenizer {
  /** Of a sequence. */
  readonly tokenizers?: readonly HubPreTokenizer[];
  /** Of the byte-level one. */
  pattern?: RegExp;
  pre_tokenize_text(text: string): string[];
}

export interface HubTokenizer {
  readonly normalizer: HubNormalizer | null;
  readonly pre_tokenizer: HubPreTokenizer | null;
  /** `vocab` by id. */
  readonly model: { readonly unk_token_id?: number; readonly vocab: { readonly length: number } } | null;
  encode(
    text: string,
    options?: {
      add_special_tokens?: boolean;
      text_pair?: string;
      return_token_type_ids?: boolean;
    },
  ): { ids: number[]; token_type_ids?: number[] };
  /** Throws on an empty list. */
  decode(
    ids: number[],
    options: { skip_special_tokens: boolean; clean_up_tokenization_spaces: boolean },
  ): string;
}

interface HubLibrary {
  readonly Tokenizer: new (definition: object, config: object) => HubTokenizer;
  readonly PrecompiledNormalizer: new (config: object) => HubNormalizer;
  readonly BertNormalizer: new (config: object) => HubNormalizer;
  readonly WhitespaceSplitPreTokenizer: new () => HubPreTokenizer;
  readonly ByteLevelPreTokenizer: new (config: object) => HubPreTokenizer;
}

export const {
  Tokenizer: HubTokenizerClass,
  PrecompiledNormalizer,
  BertNormalizer,
  WhitespaceSplitPreTokenizer,
  ByteLevelPreTokenizer,
} = library as unknown as HubLibrary;
