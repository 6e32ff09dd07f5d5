import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { SeprogError } from "../errors.js";
import type { TokenizerDefinition } from "./definition.js";
import { addedTokens, parseJson, readSettings, roleToken, type TokenizerSettings } from "./special_tokens.js";

const vocabularySchema = z.record(z.string(), z.int().nonnegative());

/** What the families that share this vocabulary form put around a text. */
const FAMILIES = {
  gpt2: {
    special: { bos_token: "<|endoftext|>", eos_token: "<|endoftext|>", unk_token: "<|endoftext|>" },
    postProcessor: () => ({
      type: "TemplateProcessing",
      single: [{ Sequence: { id: "A", type_id: 0 } }],
      pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
      special_tokens: {},
    }),
  },
  bart: {
    special: {
      bos_token: "<s>",
      eos_token: "</s>",
      unk_token: "<unk>",
      sep_token: "</s>",
      pad_token: "<pad>",
      cls_token: "<s>",
      mask_token: "<mask>",
    },
    postProcessor: (settings: TokenizerSettings, idOf: ReadonlyMap<string, number>, path: string) => ({
      type: "RobertaProcessing",
      cls: roleToken(settings, "cls_token", "<s>", idOf, path),
      sep: roleToken(settings, "sep_token", "</s>", idOf, path),
      trim_offsets: true,
      add_prefix_space: false,
    }),
  },
} as const;

/**
 * Byte-level BPE from `vocab.json` and `merges.txt`. GPT-2 and BART have the same files; without a config.json that
 * tells them apart, a vocabulary with `<s>` and `</s>` is BART's.
 * @throws SeprogError CHECKPOINT_INVALID if a file is damaged, the two do not belong together or a token is missing
 */
export async function fromByteLevelBpe(
  folder: string,
  modelType: string | undefined,
): Promise<TokenizerDefinition> {
  const vocabularyPath = join(folder, "vocab.json");
  const vocabulary = parseJson(await readFile(vocabularyPath, "utf8"), vocabularyPath, vocabularySchema);
  const idOf = new Map(Object.entries(vocabulary));
  assertDense(idOf, vocabularyPath);
  const settings = await readSettings(folder);
  const family = FAMILIES[modelType === "bart" || modelType === "gpt2" ? modelType : guessFamily(idOf)];
  return {
    version: "1.0",
    added_tokens: addedTokens(settings, { idOf, special: Object.values(family.special) }),
    normalizer: null,
    pre_tokenizer: {
      type: "ByteLevel",
      add_prefix_space: settings.config.add_prefix_space ?? false,
      trim_offsets: true,
      use_regex: true,
    },
    post_processor: family.postProcessor(settings, idOf, vocabularyPath),
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      unk_token: null,
      continuing_subword_prefix: "",
      end_of_word_suffix: "",
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: vocabulary,
      merges: parseMerges(
        await readFile(join(folder, "merges.txt"), "utf8"),
        join(folder, "merges.txt"),
        idOf,
      ),
    },
  };
}

const guessFamily = (idOf: ReadonlyMap<string, number>): keyof typeof FAMILIES =>
  idOf.has("<s>") && idOf.has("</s>") ? "bart" : "gpt2";

function assertDense(idOf: ReadonlyMap<string, number>, path: string): void {
  const ids = new Set(idOf.values());
  const stray = [...idOf].find(([, id]) => id >= idOf.size);
  if (idOf.size > 0 && ids.size === idOf.size && stray === undefined) return;
  const received =
    stray === undefined
      ? `${ids.size} ids for ${idOf.size} tokens`
      : `${stray[1]} for ${JSON.stringify(stray[0])}`;
  throw new SeprogError(
    "CHECKPOINT_INVALID",
    `expected every id from 0 to the number of tokens once in ${path} but received ${received}`,
  );
}

/** One merge a line, best first, after a line that states the version. */
function parseMerges(text: string, path: string, idOf: ReadonlyMap<string, number>): [string, string][] {
  const merges: [string, string][] = [];
  for (const [i, raw] of text.split("\n").entries()) {
    const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
    if (line === "" || line.startsWith("#version")) continue;
    const [left, right, ...rest] = line.split(" ");
    const whole = [left, right, `${left}${right}`];
    if (!left || !right || rest.length > 0 || !whole.every((token) => idOf.has(token as string)))
      throw new SeprogError(
        "CHECKPOINT_INVALID",
        `${path}:${i + 1}: expected two tokens that vocab.json holds together but received ${JSON.stringify(line)}`,
      );
    merges.push([left, right]);
  }
  return merges;
}
