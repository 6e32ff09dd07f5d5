// Tokenizers of a few texts' words, as the files that each family has on the hub.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Families whose tokenizer is made from texts. */
export type TokenisedFamily = "bart" | "bert" | "gpt2";

/** Writes config.json (no more than the family's name) and the vocabulary files into a new folder. */
export async function writeTinyTokenizer(
  folder: string,
  family: TokenisedFamily,
  texts: readonly string[],
): Promise<void> {
  await mkdir(folder);
  const files = family === "bert" ? wordPieceFiles(texts) : byteLevelFiles(texts, SPECIAL[family]);
  await writeFile(join(folder, "config.json"), JSON.stringify({ model_type: family }));
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
}

const SPECIAL = {
  bert: ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
  bart: ["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
  gpt2: ["<|endoftext|>"],
} as const;

const LETTERS = "abcdefghijklmnopqrstuvwxyz";

function wordPieceFiles(texts: readonly string[]): Record<string, string> {
  const words = texts.flatMap((text) => text.toLowerCase().match(/[a-z]+|[^a-z\s]/g) ?? []);
  const pieces = [...LETTERS].flatMap((letter) => [letter, `##${letter}`]);
  const tokens = [...new Set([...SPECIAL.bert, ...pieces, ...words])];
  return { "vocab.txt": tokens.map((token) => `${token}\n`).join("") };
}

function byteLevelFiles(texts: readonly string[], special: readonly string[]): Record<string, string> {
  const words = texts.flatMap((text) => text.match(/ ?[A-Za-z]+| ?[^A-Za-z\s]/g) ?? []);
  const merges = mergesOf(words.map((word) => word.replace(" ", "Ġ")));
  const tokens = [...special, ...BYTES, ...new Set(merges.map((pair) => pair.join("")))];
  return {
    "vocab.json": JSON.stringify(Object.fromEntries(tokens.map((token, id) => [token, id]))),
    "merges.txt": ["#version: 0.2", ...merges.map((pair) => pair.join(" ")), ""].join("\n"),
  };
}

/** Byte-pair encoding until every word is one token. */
function mergesOf(words: readonly string[]): [string, string][] {
  let rows = [...new Set(words)].map((word) => [...word]);
  const merges: [string, string][] = [];
  for (;;) {
    const pair = mostFrequentPair(rows);
    if (pair === undefined) return merges;
    merges.push(pair);
    rows = rows.map((row) => merged(row, pair));
  }
}

function mostFrequentPair(rows: readonly (readonly string[])[]): [string, string] | undefined {
  const counts = new Map<string, { readonly pair: [string, string]; count: number }>();
  for (const row of rows)
    for (const [i, right] of row.entries()) {
      const left = row[i - 1];
      if (left === undefined) continue;
      const known = counts.get(`${left} ${right}`) ?? { pair: [left, right], count: 0 };
      known.count += 1;
      counts.set(`${left} ${right}`, known);
    }
  const [best] = [...counts.values()].sort((a, b) => b.count - a.count);
  return best?.pair;
}

function merged(row: readonly string[], [left, right]: readonly [string, string]): string[] {
  const joined: string[] = [];
  for (const symbol of row)
    if (symbol === right && joined.at(-1) === left) joined[joined.length - 1] = left + right;
    else joined.push(symbol);
  return joined;
}

/** The 256 bytes as byte-level vocabularies write them: those that are no visible Latin-1 character from U+0100 on. */
const BYTES: readonly string[] = (() => {
  const visible = (byte: number): boolean =>
    (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte <= 0xff && byte !== 0xad);
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(visible(byte) ? byte : next++));
})();
