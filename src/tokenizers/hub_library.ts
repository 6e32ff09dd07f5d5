import * as library from "@huggingface/tokenizers";

/**
 * The part of `@huggingface/tokenizers` 0.2.0 that is used. Its own typings do not resolve under Node's module rules
 * (relative imports without extension), so they are stated here.
 */
export interface HubNormalizer {
  readonly config: { readonly precompiled_charsmap?: string | null };
  /** Of a sequence. */
  readonly normalizers?: readonly HubNormalizer[];
  normalize(text: string): string;
}

export interface HubTokenizer {
  readonly normalizer: HubNormalizer | null;
  readonly model: { readonly unk_token_id?: number } | null;
  encode(text: string, options?: { add_special_tokens?: boolean }): { ids: number[] };
  /** Throws on an empty list. */
  decode(
    ids: number[],
    options: { skip_special_tokens: boolean; clean_up_tokenization_spaces: boolean },
  ): string;
  get_vocab(): Map<string, number>;
}

interface HubLibrary {
  readonly Tokenizer: new (definition: object, config: object) => HubTokenizer;
  readonly PrecompiledNormalizer: new (config: object) => HubNormalizer;
}

export const { Tokenizer: HubTokenizerClass, PrecompiledNormalizer } = library as unknown as HubLibrary;
