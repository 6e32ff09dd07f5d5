import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { joinWords, readPassages } from "./wikitext.mjs";
import { describeSources, toJsonLines, writeAsset } from "./write_assets.mjs";

/** WikiText-103's own splits. The training file is a prefix, cut off in its last line. */
const FILES = {
  train: { file: "wikitext-103/wiki.train.prefix.tokens", dropLastLine: true },
  validation: { file: "wikitext-103/wiki.valid.tokens", dropLastLine: false },
  // The raw form of the test file: no word is lost to `<unk>`.
  test: { file: "wikitext-103/wiki.test.raw-text.txt", dropLastLine: false },
};
/** As the paper's data: a shorter text is no passage. Counted in WikiText's words, marks included. */
const MIN_WORDS = 50;
const PIECE_WORDS = 90;

export function buildWikipedia(sources, out) {
  mkdirSync(out, { recursive: true });
  const articles = {};
  const rows = Object.entries(FILES).flatMap(([split, { file, dropLastLine }]) => {
    const passages = readPassages(join(sources, file), {
      minWords: MIN_WORDS,
      pieceWords: PIECE_WORDS,
      dropLastLine,
    });
    articles[split] = new Set(passages.map(({ article }) => article)).size;
    return passages.map(({ article, words }, i) => ({
      id: `wiki-${split}-${i}`,
      group: article,
      split,
      text: joinWords(words),
    }));
  });
  writeAsset(out, "wikipedia/passages.jsonl.gz", toJsonLines(rows));
  const perSplit = (count) =>
    Object.fromEntries(
      Object.keys(FILES).map((split) => [split, count(rows.filter((row) => row.split === split))]),
    );
  const manifest = {
    sources: describeSources(
      sources,
      Object.values(FILES).map(({ file }) => file),
    ),
    passages: perSplit((passages) => passages.length),
    articles,
    words: perSplit((passages) => passages.reduce((sum, { text }) => sum + text.split(" ").length, 0)),
  };
  writeAsset(out, "wikipedia/manifest.json", `${JSON.stringify(manifest, null, 2)}\n`);
  return manifest;
}
