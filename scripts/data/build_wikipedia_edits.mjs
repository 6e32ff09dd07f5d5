#!/usr/bin/env node
// Samples what the base model says after the embedded Wikipedia passages: the edits of the data set `wikipedia`.
// Needs `npm run build` and the passages of build.mjs. Same model, same content.
//
//   node scripts/data/build_wikipedia_edits.mjs --model assets/models/gpt2-mini [--out assets/data] [--threads 1]
import { readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { cutBeforeLast, textIds } from "../../dist/data/datasets/wikipedia_tokens.js";
import { loadPassages } from "../../dist/data/passages.js";
import { Rng } from "../../dist/data/random.js";
import { SPLITS } from "../../dist/data/types.js";
import { openEngine } from "../../dist/native/engine.js";
import { packRows, unpackRows } from "../../dist/tokenizers/token_rows.js";
import { Tokenizer } from "../../dist/tokenizers/tokenizer.js";
import { toJsonLines, writeAsset } from "./write_assets.mjs";

/** Tokens of a continuation (MEND's 10token/self_sample). */
const TOKENS = 10;
/** Words of a passage that are the edit's input. */
const [MIN_WORDS, MAX_WORDS] = [40, 60];
const ROWS = 64;
/** Samples of a passage until one is what its text reads as. */
const TRIES = 8;

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    out: { type: "string", default: fileURLToPath(new URL("../../assets/data", import.meta.url)) },
    threads: { type: "string", default: "1" },
  },
});
if (values.model === undefined) {
  console.error("expected --model FOLDER [--out DIR] [--threads 1]");
  process.exit(2);
}

/** The start of a passage, on a word boundary, that comes apart before its last tokens; undefined if none does. */
function cutPassage(passage, tokenizer, rng) {
  const words = passage.text.split(" ");
  const most = Math.min(words.length, MIN_WORDS + rng.int(MAX_WORDS - MIN_WORDS + 1));
  for (let count = most; count >= Math.min(most, MIN_WORDS); count--) {
    const input = words.slice(0, count).join(" ");
    const ids = textIds(input, tokenizer);
    const cut = cutBeforeLast(ids, TOKENS, tokenizer);
    if (cut !== undefined) return { passage, input, ids, headLength: cut.head.length };
  }
  return undefined;
}

const same = (a, b) => a.length === b.length && a.every((id, i) => id === b[i]);

/** Text of a sample that reads as the same tokens, alone and behind its input; undefined if it does not. */
function readableText({ input, ids }, sample, tokenizer) {
  if (sample.length !== TOKENS) return undefined;
  const text = tokenizer.decode(sample);
  if (text.trim() === "" || !same([...textIds(text, tokenizer)], [...sample])) return undefined;
  return same([...textIds(input + text, tokenizer)], [...ids, ...sample]) ? text : undefined;
}

const tokenizer = await Tokenizer.load(resolve(values.model));
const engine = await openEngine({ threads: Number(values.threads) });
const model = await engine.loadModel(resolve(values.model));
const passages = await loadPassages(values.out);
const rng = Rng.fromSeed(0);
const cuts = SPLITS.flatMap((split) => passages[split])
  .map((passage) => cutPassage(passage, tokenizer, rng))
  .filter((cut) => cut !== undefined);

/** Rows of new tokens for every cut, in order. */
async function continuations(of, options) {
  const rows = [];
  for (let from = 0; from < of.length; from += ROWS) {
    const batch = packRows(of.slice(from, from + ROWS).map(({ ids }) => ids));
    const { tokens } = await model.generate(batch, { maxNewTokens: TOKENS, stopAtEnd: false, ...options });
    rows.push(...unpackRows(tokens));
  }
  return rows;
}

const textOf = new Map();
for (let seed = 0; seed < TRIES; seed++) {
  const open = cuts.filter((cut) => !textOf.has(cut));
  const samples = await continuations(open, { sample: { seed } });
  for (const [i, cut] of open.entries()) {
    const text = readableText(cut, samples[i], tokenizer);
    if (text !== undefined) textOf.set(cut, { text, ids: samples[i] });
  }
}
const kept = cuts.filter((cut) => textOf.has(cut));
const greedy = await continuations(kept, {});
const agreeing = kept.filter((cut, i) => same([...greedy[i]], [...textOf.get(cut).ids])).length;
await engine.close();

const rows = kept.map((cut) => ({
  id: cut.passage.id,
  inputLength: cut.input.length,
  headLength: cut.headLength,
  continuation: textOf.get(cut).text,
}));
writeAsset(values.out, "wikipedia/edits.jsonl.gz", toJsonLines(rows));
const {
  model: _,
  edits: __,
  ...manifest
} = JSON.parse(readFileSync(join(values.out, "wikipedia/manifest.json"), "utf8"));
const count = (split) => kept.filter(({ passage }) => passage.split === split).length;
const made = {
  ...manifest,
  model: { name: basename(values.model), checksum: model.info.checksum },
  edits: {
    ...Object.fromEntries(SPLITS.map((split) => [split, count(split)])),
    tokens: TOKENS,
    passagesWithoutACut: SPLITS.reduce((sum, split) => sum + passages[split].length, 0) - cuts.length,
    passagesWithoutASample: cuts.length - kept.length,
    equalToTheGreedyContinuation: agreeing,
  },
};
writeAsset(values.out, "wikipedia/manifest.json", `${JSON.stringify(made, null, 2)}\n`);
console.log(JSON.stringify(made, null, 2));
