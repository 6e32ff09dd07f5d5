/** The parts of a `tokenizer.json` that conversions write. */
export interface TokenizerDefinition {
  readonly version: "1.0";
  readonly added_tokens: readonly AddedToken[];
  readonly normalizer: object | null;
  readonly pre_tokenizer: object;
  readonly post_processor: object;
  readonly decoder: object;
  readonly model: object;
}

/** A token that is found in a text before anything else; special ones are left out of decoded text. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
}
