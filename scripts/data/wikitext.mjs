import { readFileSync } from "node:fs";

const HEADING = /^= .* =$/;
const ARTICLE = /^= [^=].*[^=] =$/;

/** Marks that stand alone in WikiText's token form and belong to the word before or after them. */
const CLOSING = new Set([",", ".", ";", ":", "!", "?", "%", ")", "]", "n't"]);
const OPENING = new Set(["(", "[", "$", "£", "€"]);
const JOINING = /^@([-,.])@$/;

/** Times, scores and units: `21 : 00`, `km / h`. */
const isBetween = (before, word, after) =>
  word === "/" || (word === ":" && /\d$/.test(before ?? "") && /^\d/.test(after ?? ""));

/** Whether the word is a clitic: `'s`, `'re`, `'`. */
const isClitic = (word) => /^'(s|re|ve|ll|d|m)?$/i.test(word);

/** WikiText's words as running text: `@-@` is a hyphen, marks stand at their words, quotes open and close by turns. */
export function joinWords(words) {
  let text = "";
  let glue = true;
  let inQuotes = false;
  for (const [i, word] of words.entries()) {
    const joining = JOINING.exec(word);
    if (joining !== null || isBetween(words[i - 1], word, words[i + 1])) {
      text += joining?.[1] ?? word;
      glue = true;
    } else if (word === '"') {
      text += inQuotes || glue ? word : ` ${word}`;
      inQuotes = !inQuotes;
      glue = inQuotes;
    } else {
      text += glue || CLOSING.has(word) || isClitic(word) ? word : ` ${word}`;
      glue = OPENING.has(word);
    }
  }
  return text;
}

/** Sentences of a paragraph, as lists of words; a closing quote stays with its sentence. */
function sentencesOf(words) {
  const sentences = [];
  let sentence = [];
  let inQuotes = false;
  for (const [i, word] of words.entries()) {
    sentence.push(word);
    if (word === '"') inQuotes = !inQuotes;
    const ends = /^[.!?]$/.test(word) || (word === '"' && !inQuotes && /^[.!?]$/.test(words[i - 1] ?? ""));
    const next = words[i + 1];
    if (ends && !inQuotes && !(next === '"' && sentence.filter((w) => w === '"').length % 2 === 1)) {
      sentences.push(sentence);
      sentence = [];
    }
  }
  return sentences;
}

const isAscii = (text) => /^[\x20-\x7e]*$/.test(text);

/** A sentence that can be shown: no lost words, no foreign letters, its quotes and brackets closed. */
function isClean(words) {
  const count = (mark) => words.filter((word) => word === mark).length;
  return (
    words.every((word) => isAscii(word) && !word.includes("<unk>")) &&
    count('"') % 2 === 0 &&
    count("(") === count(")") &&
    /^[A-Z0-9"(]/.test(words[0] ?? "")
  );
}

/**
 * Passages of an article file in WikiText's token form: whole sentences that follow one another in a paragraph, at least
 * `minWords` words, in pieces that end with the first sentence beyond `pieceWords`.
 * @returns {{article: string, words: string[]}[]}
 */
export function readPassages(path, { minWords, pieceWords, dropLastLine = false }) {
  const lines = readFileSync(path, "utf8")
    .split("\n")
    .map((line) => line.trim());
  if (dropLastLine) lines.pop();
  let article = "";
  const passages = [];
  for (const line of lines) {
    if (ARTICLE.test(line)) article = joinWords(line.slice(2, -2).split(" "));
    if (line === "" || HEADING.test(line)) continue;
    let piece = [];
    const close = () => {
      if (piece.length >= minWords) passages.push({ article, words: piece });
      piece = [];
    };
    for (const sentence of sentencesOf(line.split(/ +/))) {
      if (!isClean(sentence)) close();
      else {
        piece.push(...sentence);
        if (piece.length >= pieceWords) close();
      }
    }
    close();
  }
  return passages;
}
