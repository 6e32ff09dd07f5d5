import { readFile, stat } from "node:fs/promises";
import { basename } from "node:path";
import { z } from "zod";
import { SeprogError } from "../../errors.js";
import type { TokenCodec } from "../official_files.js";
import { Problems } from "../problems.js";
import { describeIssues } from "../schema.js";
import { groupKey } from "../text.js";
import type { EditRecord } from "../types.js";
import { type CutText, cutBeforeLast, textIds } from "./wikipedia_tokens.js";
import { readWikitext } from "./wikitext.js";

/** MEND's file is one JSON object on one line: it is held whole, up to this size. */
const MAX_FILE_BYTES = 256 * 2 ** 20;
/** Longest passage, cut on the right (datasets.md section 2). */
const MAX_PASSAGE_TOKENS = 200;

const passage = z
  .string()
  .refine((text) => text.trim() !== "", "expected a passage but received only blanks");

/** `10token/self_sample/{train,valid}.json`: passages, each completed anew by a model, whose last tokens are the edit. */
const selfSampleSchema = z
  .looseObject({
    original: z.array(passage),
    completions: z.array(passage).min(1),
    n_tokens: z.int().min(1),
  })
  .refine(({ original, completions }) => original.length === completions.length, {
    path: ["completions"],
    message: "expected as many completions as there are passages in `original`",
  });

/** @throws SeprogError DATA_INVALID if the file cannot be read, is longer than 256 MiB, or is no UTF-8 JSON */
async function readJsonObject(path: string): Promise<unknown> {
  try {
    const { size } = await stat(path);
    if (size > MAX_FILE_BYTES) throw new Error(`${size} bytes; at most ${MAX_FILE_BYTES} are read`);
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(await readFile(path)));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SeprogError(
      "DATA_INVALID",
      `expected one UTF-8 JSON object at ${path}:1 but received: ${reason}`,
      {
        cause,
      },
    );
  }
}

/** Passages in turn, each cut before its last tokens; those that do not come apart cleanly are passed over. */
function* locality(passages: readonly string[], tokens: number, codec: TokenCodec): Generator<CutText> {
  for (;;) {
    let found = false;
    for (const text of passages) {
      const cut = cutBeforeLast(textIds(text, codec).subarray(0, MAX_PASSAGE_TOKENS), tokens, codec);
      if (cut === undefined) continue;
      found = true;
      yield cut;
    }
    if (!found) return;
  }
}

/**
 * Records of one of MEND's `self_sample` files: x_e is a completion without its last `n_tokens` tokens, y_e these
 * tokens. As ordinary example a record stands for a passage of WikiText, cut in the same way. Completions whose two
 * parts are other tokens when read as texts of their own are left out.
 * @param wikitext WikiText file, of which `share` is read
 * @throws SeprogError DATA_INVALID with `file: field` for everything that is wrong, or if no completion can be used
 */
export async function readSelfSample(
  path: string,
  wikitext: { readonly path: string; readonly share: number },
  codec: TokenCodec,
): Promise<EditRecord[]> {
  const problems = new Problems();
  const parsed = selfSampleSchema.safeParse(await readJsonObject(path));
  if (!parsed.success) for (const issue of describeIssues(parsed.error)) problems.add(`${path}:1`, issue);
  const passages = await readWikitext(wikitext.path, wikitext.share, problems);
  const { completions = [], n_tokens = 0 } = parsed.data ?? {};
  const stem = basename(path, ".json");
  const others = locality(passages, n_tokens, codec);
  const groupOf = new Map<string, string>();
  const records: EditRecord[] = [];
  for (const [i, completion] of completions.entries()) {
    const id = `wikipedia-${stem}-${i}`;
    const ids = textIds(completion, codec);
    if (ids.length <= n_tokens)
      problems.add(
        `${path}:1`,
        `\`completions.${i}\`: expected more than \`n_tokens\` = ${n_tokens} tokens but received ${ids.length}`,
      );
    const cut = cutBeforeLast(ids, n_tokens, codec);
    if (cut === undefined) continue;
    const other = others.next();
    if (other.done === true) break;
    const key = groupKey(cut.head);
    if (!groupOf.has(key)) groupOf.set(key, id);
    records.push({
      id,
      group: groupOf.get(key) ?? id,
      x_e: cut.head,
      y_e_options: [cut.tail],
      in_scope: [],
      in_scope_noisy: [],
      entailed: [],
      hard_out: [],
      x_loc: other.value.head,
      y_loc: [other.value.tail],
    });
  }
  if (parsed.success && records.length === 0)
    problems.add(
      path,
      "expected completions that come apart before their last tokens but received none; is it the model's tokenizer?",
    );
  problems.throwIfAny(path);
  return records;
}
