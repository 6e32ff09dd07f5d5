import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { SeprogError } from "../errors.js";
import { fromByteLevelBpe } from "./from_byte_level_bpe.js";
import { fromSentencePiece } from "./from_sentencepiece.js";
import { fromWordPiece } from "./from_wordpiece.js";
import { parseJson, readOptional } from "./special_tokens.js";

interface FileForm {
  /** All of them make the form. */
  readonly files: readonly string[];
  /** `model_type` of config.json that the conversion is right for; undefined: any. */
  readonly families?: readonly string[];
  read(folder: string, modelType: string | undefined): Promise<object>;
}

/** What a folder may hold; the first form that is complete is read. */
const FORMS: readonly FileForm[] = [
  {
    files: ["tokenizer.json"],
    read: async (folder) => {
      const path = join(folder, "tokenizer.json");
      return parseJson(await readFile(path, "utf8"), path, z.looseObject({}));
    },
  },
  { files: ["spiece.model"], families: ["t5"], read: fromSentencePiece },
  { files: ["vocab.json", "merges.txt"], families: ["gpt2", "bart"], read: fromByteLevelBpe },
  { files: ["vocab.txt"], families: ["bert", "distilbert"], read: fromWordPiece },
];

/**
 * The definition of a folder's tokenizer in the form of `tokenizer.json`, converted from the family's own files where
 * that one is absent.
 * @returns also the file it came from, for messages
 * @throws SeprogError CHECKPOINT_INVALID if the files are missing or damaged, UNSUPPORTED if another family made them
 */
export async function readDefinition(
  folder: string,
): Promise<{ readonly definition: object; readonly path: string }> {
  const present = new Set(await listFolder(folder));
  const form = FORMS.find(({ files }) => files.every((name) => present.has(name)));
  if (form === undefined) throw noTokenizer(folder, "none of them");
  const [name = ""] = form.files;
  const path = join(folder, name);
  const modelType = await readModelType(folder);
  if (modelType !== undefined && form.families !== undefined && !form.families.includes(modelType))
    throw new SeprogError(
      "UNSUPPORTED",
      `expected ${form.families.join(" or ")} for \`model_type\` in ${join(folder, "config.json")} beside ${name} ` +
        `but received "${modelType}"; save the tokenizer in its fast form (tokenizer.json)`,
    );
  try {
    return { definition: await form.read(folder, modelType), path };
  } catch (cause) {
    if (cause instanceof SeprogError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SeprogError("CHECKPOINT_INVALID", `expected a tokenizer at ${path} but received: ${reason}`, {
      cause,
    });
  }
}

async function listFolder(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (cause) {
    throw noTokenizer(folder, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function noTokenizer(folder: string, received: string, cause?: unknown): SeprogError {
  const forms = FORMS.map(({ files }) => files.join(" with ")).join(", ");
  return new SeprogError(
    "CHECKPOINT_INVALID",
    `expected a tokenizer at ${folder} (${forms}) but received: ${received}`,
    { cause },
  );
}

async function readModelType(folder: string): Promise<string | undefined> {
  const schema = z.looseObject({ model_type: z.string().optional() });
  return (await readOptional(join(folder, "config.json"), schema, {})).model_type;
}
