import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { SeprogError } from "../errors.js";
import type { TokenizerDefinition } from "./definition.js";
import { addedTokens, readSettings, roleToken } from "./special_tokens.js";

const SPECIAL = {
  unk_token: "[UNK]",
  sep_token: "[SEP]",
  pad_token: "[PAD]",
  cls_token: "[CLS]",
  mask_token: "[MASK]",
} as const;

/**
 * BERT's tokenizer from `vocab.txt`, one token a line; `tokenizer_config.json` says whether text is lower-cased (it is
 * unless that file says no), stripped of accents, and split at Chinese characters.
 * @throws SeprogError CHECKPOINT_INVALID if a line is empty or repeated or a token that BERT needs is missing
 */
export async function fromWordPiece(folder: string): Promise<TokenizerDefinition> {
  const path = join(folder, "vocab.txt");
  const idOf = parseVocabulary(await readFile(path, "utf8"), path);
  const settings = await readSettings(folder);
  const [unknown] = roleToken(settings, "unk_token", SPECIAL.unk_token, idOf, path);
  const [cls, clsId] = roleToken(settings, "cls_token", SPECIAL.cls_token, idOf, path);
  const [sep, sepId] = roleToken(settings, "sep_token", SPECIAL.sep_token, idOf, path);
  const first = [
    { SpecialToken: { id: cls, type_id: 0 } },
    { Sequence: { id: "A", type_id: 0 } },
    { SpecialToken: { id: sep, type_id: 0 } },
  ];
  return {
    version: "1.0",
    added_tokens: addedTokens(settings, { idOf, special: Object.values(SPECIAL) }),
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: settings.config.tokenize_chinese_chars ?? true,
      strip_accents: settings.config.strip_accents ?? null,
      lowercase: settings.config.do_lower_case ?? true,
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: {
      type: "TemplateProcessing",
      single: first,
      pair: [...first, { Sequence: { id: "B", type_id: 1 } }, { SpecialToken: { id: sep, type_id: 1 } }],
      special_tokens: {
        [cls]: { id: cls, ids: [clsId], tokens: [cls] },
        [sep]: { id: sep, ids: [sepId], tokens: [sep] },
      },
    },
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    model: {
      type: "WordPiece",
      unk_token: unknown,
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(idOf),
    },
  };
}

function parseVocabulary(text: string, path: string): Map<string, number> {
  const lines = text.split("\n").map((line) => (line.endsWith("\r") ? line.slice(0, -1) : line));
  if (lines.at(-1) === "") lines.pop();
  const idOf = new Map<string, number>();
  for (const [id, token] of lines.entries()) {
    if (token === "" || idOf.has(token))
      throw new SeprogError(
        "CHECKPOINT_INVALID",
        `${path}:${id + 1}: expected a token of its own but received ${
          token === ""
            ? "an empty line"
            : `${JSON.stringify(token)}, which is also on line ${(idOf.get(token) ?? 0) + 1}`
        }`,
      );
    idOf.set(token, id);
  }
  return idOf;
}
