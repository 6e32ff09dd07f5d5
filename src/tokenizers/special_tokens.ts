import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { z } from "zod";
import { SeprogError } from "../errors.js";
import type { AddedToken } from "./definition.js";

const ROLES = [
  "bos_token",
  "eos_token",
  "unk_token",
  "sep_token",
  "pad_token",
  "cls_token",
  "mask_token",
] as const;

export type Role = (typeof ROLES)[number];

/** Just its text, or with how blanks and word boundaries around it are taken. */
const tokenSchema = z.union([
  z
    .string()
    .min(1)
    .transform((content) => ({ content })),
  z.object({
    content: z.string().min(1),
    single_word: z.boolean().default(false),
    lstrip: z.boolean().default(false),
    rstrip: z.boolean().default(false),
    normalized: z.boolean().default(false),
  }),
]);
type NamedToken = z.infer<typeof tokenSchema>;

const roleFields = Object.fromEntries(ROLES.map((role) => [role, tokenSchema.nullish()])) as {
  [role in Role]: z.ZodOptional<z.ZodNullable<typeof tokenSchema>>;
};
const mapSchema = z.looseObject({
  ...roleFields,
  additional_special_tokens: z.array(tokenSchema).nullish(),
});
const configSchema = mapSchema.extend({
  do_lower_case: z.boolean().nullish(),
  strip_accents: z.boolean().nullish(),
  tokenize_chinese_chars: z.boolean().nullish(),
  add_prefix_space: z.boolean().nullish(),
  extra_ids: z.int().min(0).max(10_000).nullish(),
});
const addedSchema = z.record(z.string().min(1), z.int().nonnegative());

/** What a folder says of its tokenizer beside the vocabulary. */
export interface TokenizerSettings {
  readonly folder: string;
  /** `tokenizer_config.json`; empty where there is none. */
  readonly config: z.infer<typeof configSchema>;
  /** By role; `special_tokens_map.json` before `tokenizer_config.json`. */
  readonly named: { readonly [role in Role]?: NamedToken };
  readonly additional: readonly NamedToken[];
  /** `added_tokens.json`: tokens that the vocabulary lacks, with their ids. */
  readonly added: ReadonlyMap<string, number>;
}

/** @throws SeprogError CHECKPOINT_INVALID if one of the files is there but not what it should be */
export async function readSettings(folder: string): Promise<TokenizerSettings> {
  const config = await readOptional(join(folder, "tokenizer_config.json"), configSchema, {});
  const map = await readOptional(join(folder, "special_tokens_map.json"), mapSchema, {});
  const added = await readOptional(join(folder, "added_tokens.json"), addedSchema, {});
  const named = ROLES.flatMap((role) => {
    const token = map[role] ?? config[role];
    return token ? [[role, token] as const] : [];
  });
  return {
    folder,
    config,
    named: Object.fromEntries(named),
    additional: map.additional_special_tokens ?? config.additional_special_tokens ?? [],
    added: new Map(Object.entries(added)),
  };
}

/** @throws SeprogError CHECKPOINT_INVALID if the file is there but does not hold JSON of this form */
export async function readOptional<Content>(
  path: string,
  schema: z.ZodType<Content>,
  absent: Content,
): Promise<Content> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return absent;
    throw cause;
  }
  return parseJson(text, path, schema);
}

/** @throws SeprogError CHECKPOINT_INVALID naming the file and the first thing that is wrong */
export function parseJson<Content>(text: string, path: string, schema: z.ZodType<Content>): Content {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SeprogError("CHECKPOINT_INVALID", `expected JSON in ${path} but received: ${reason}`, {
      cause,
    });
  }
  const parsed = schema.safeParse(content);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue?.path.length ? issue.path.join(".") : basename(path);
  throw new SeprogError("CHECKPOINT_INVALID", `${path}: ${issue?.message ?? "not valid"} for \`${where}\``);
}

/** Tokens of the vocabulary that are found in a text before anything else. */
interface FoundFirst {
  readonly idOf: ReadonlyMap<string, number>;
  /** The family's own; those that the vocabulary lacks are passed over. */
  readonly special: readonly string[];
  /** Kept in decoded text. */
  readonly plain?: readonly string[];
}

/**
 * The added tokens of a definition, by id: the family's own, the ones the folder names, and `added_tokens.json`.
 * @throws SeprogError CHECKPOINT_INVALID if a token of `added_tokens.json` takes another's id
 */
export function addedTokens(
  { folder, named, additional, added }: TokenizerSettings,
  { idOf, special, plain = [] }: FoundFirst,
): AddedToken[] {
  const ids = new Map([...added, ...idOf]);
  if (new Set(ids.values()).size < ids.size)
    throw new SeprogError(
      "CHECKPOINT_INVALID",
      `expected ids of their own, not those of the vocabulary, in ${join(folder, "added_tokens.json")}`,
    );
  const specialTokens = new Map<string, NamedToken>();
  for (const content of special) specialTokens.set(content, { content });
  for (const token of [...Object.values(named), ...additional]) specialTokens.set(token.content, token);
  const contents = new Set([...plain, ...added.keys(), ...specialTokens.keys()]);
  return [...contents]
    .flatMap((content) => {
      const id = ids.get(content);
      return id === undefined ? [] : [toAddedToken(id, content, specialTokens.get(content))];
    })
    .sort((a, b) => a.id - b.id);
}

const toAddedToken = (id: number, content: string, special: NamedToken | undefined): AddedToken => ({
  id,
  special: special !== undefined,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  ...(special ?? { content }),
});

/**
 * The token of a role, with its id.
 * @param path file that should hold it, for messages
 * @throws SeprogError CHECKPOINT_INVALID if the vocabulary lacks it
 */
export function roleToken(
  { named }: TokenizerSettings,
  role: Role,
  familyDefault: string,
  idOf: ReadonlyMap<string, number>,
  path: string,
): [string, number] {
  const token = named[role]?.content ?? familyDefault;
  const id = idOf.get(token);
  if (id !== undefined) return [token, id];
  throw new SeprogError(
    "CHECKPOINT_INVALID",
    `expected the token ${token} (${role}) in ${path} but received ${idOf.size} tokens without it`,
  );
}
