import { normalizeForBert } from "./bert_normalizer.js";
import {
  BertNormalizer,
  ByteLevelPreTokenizer,
  type HubNormalizer,
  type HubPreTokenizer,
  type HubTokenizer,
  PrecompiledNormalizer,
  WhitespaceSplitPreTokenizer,
} from "./hub_library.js";
import { PrecompiledCharsmap } from "./precompiled_charsmap.js";

/** GPT-2's, with Unicode's blanks: `\s` of JavaScript also takes U+FEFF and not U+0085. */
const BYTE_LEVEL_WORDS =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/**
 * Where `@huggingface/tokenizers` 0.2.0 gives other ids than the library that models are trained with, the right part
 * is put in its place: T5's character map (a fixed list there), BERT's clean-up (ideographs beyond the basic plane,
 * sigma), and what counts as a blank.
 * @throws RangeError if a character map is cut short
 */
export function repair({ normalizer, pre_tokenizer }: HubTokenizer): void {
  if (normalizer !== null) repairNormalizer(normalizer);
  if (pre_tokenizer !== null) repairPreTokenizer(pre_tokenizer);
}

function repairNormalizer(normalizer: HubNormalizer): void {
  const { config } = normalizer;
  if (normalizer instanceof PrecompiledNormalizer && typeof config.precompiled_charsmap === "string") {
    const map = new PrecompiledCharsmap(config.precompiled_charsmap);
    normalizer.normalize = (text) => map.normalize(text);
  }
  if (normalizer instanceof BertNormalizer) normalizer.normalize = (text) => normalizeForBert(text, config);
  for (const part of normalizer.normalizers ?? []) repairNormalizer(part);
}

function repairPreTokenizer(preTokenizer: HubPreTokenizer): void {
  if (preTokenizer instanceof WhitespaceSplitPreTokenizer)
    preTokenizer.pre_tokenize_text = (text) => text.match(/\P{White_Space}+/gu) ?? [];
  if (preTokenizer instanceof ByteLevelPreTokenizer) preTokenizer.pattern = BYTE_LEVEL_WORDS;
  for (const part of preTokenizer.tokenizers ?? []) repairPreTokenizer(part);
}
