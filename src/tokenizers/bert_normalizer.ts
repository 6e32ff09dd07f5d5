/** Options of `BertNormalizer` in a `tokenizer.json`. */
export interface BertNormalizerConfig {
  readonly clean_text?: boolean;
  readonly handle_chinese_chars?: boolean;
  /** null: as `lowercase`. */
  readonly strip_accents?: boolean | null;
  readonly lowercase?: boolean;
}

const WHITE_SPACE = /\p{White_Space}/gu;
const INVISIBLE = /(?![\t\n\r])[\0\uFFFD\p{Cc}\p{Cf}\p{Co}\p{Cs}]/gu;
/** The blocks of CJK ideographs, compatibility ideographs and their extensions, as BERT lists them. */
const IDEOGRAPHS =
  /[\u4E00-\u9FFF\u3400-\u4DBF\u{20000}-\u{2A6DF}\u{2A700}-\u{2B73F}\u{2B740}-\u{2B81F}\u{2B920}-\u{2CEAF}\uF900-\uFAFF\u{2F800}-\u{2FA1F}]/gu;

/**
 * BERT's text clean-up by code points: control characters out, blanks to spaces, spaces around ideographs, accents
 * off, lower case letter by letter (a sigma at a word's end stays σ).
 */
export function normalizeForBert(text: string, config: BertNormalizerConfig): string {
  let normal = text;
  if (config.clean_text) normal = normal.replace(INVISIBLE, "").replace(WHITE_SPACE, " ");
  if (config.handle_chinese_chars) normal = normal.replace(IDEOGRAPHS, " $& ");
  if (config.strip_accents ?? config.lowercase) normal = normal.normalize("NFD").replace(/\p{Mn}/gu, "");
  if (config.lowercase)
    normal = normal.includes("Σ")
      ? Array.from(normal, (character) => character.toLowerCase()).join("")
      : normal.toLowerCase();
  return normal;
}
