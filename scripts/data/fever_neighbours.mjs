import { FEVER_LABELS } from "../../dist/data/datasets/fever_formats.js";
import { Rng } from "../../dist/data/random.js";
import { SPLIT_SEED } from "../../dist/data/splits.js";
import { cleanText, groupKey } from "../../dist/data/text.js";

/** Claims about the same page a record gets as hard out-of-scope, at most. */
const NEIGHBOURS = 3;
/** Share of the smaller claim's words, without the page's own, above which two claims may say the same. */
const LARGEST_OVERLAP = 0.34;

const COMMON_WORDS = new Set(
  "a an the is was are were be been being has have had does did do of in on at by for from to with as and or it its his her their that this which who only not never no also one".split(
    " ",
  ),
);

const contentWords = (text) =>
  (text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []).filter((word) => !COMMON_WORDS.has(word));

function overlap(a, b, pageWords) {
  const left = new Set(contentWords(a).filter((word) => !pageWords.has(word)));
  const right = new Set(contentWords(b).filter((word) => !pageWords.has(word)));
  const smaller = Math.min(left.size, right.size);
  if (smaller === 0) return 1;
  return [...left].filter((word) => right.has(word)).length / smaller;
}

/**
 * Hard out-of-scope: other claims with the same single evidence page that share hardly a word with the record and its
 * paraphrases. FEVER's claims come in mutations of one another, which the edit may well concern: a claim that shares
 * words is left out.
 */
export function sameSubjectClaims(records, { rows, pagesOf }) {
  const claimsOfPage = new Map();
  for (const { claim, label, evidence_pages } of rows) {
    if (evidence_pages.length !== 1) continue;
    const [page] = evidence_pages;
    claimsOfPage.set(page, [...(claimsOfPage.get(page) ?? []), { x: cleanText(claim), label }]);
  }
  const labels = new Map();
  for (const { claim, label } of rows)
    labels.set(groupKey(claim), (labels.get(groupKey(claim)) ?? new Set()).add(label));
  const groupsOfText = new Map();
  for (const { group, x_e, in_scope } of records)
    for (const x of [x_e, ...in_scope.map((pair) => pair.x)]) groupsOfText.set(groupKey(x), group);
  const rng = Rng.fromSeed(SPLIT_SEED);
  return records.map((record) => {
    const pages = pagesOf(record.id);
    if (pages.length !== 1 || record.in_scope.length === 0) return record;
    const pageWords = new Set(contentWords(pages[0].replaceAll("_", " ")));
    const wordings = [record.x_e, ...record.in_scope.map(({ x }) => x)];
    const apart = (claimsOfPage.get(pages[0]) ?? []).filter(
      ({ x }) =>
        labels.get(groupKey(x)).size === 1 &&
        [record.group, undefined].includes(groupsOfText.get(groupKey(x))) &&
        wordings.every((own) => overlap(own, x, pageWords) <= LARGEST_OVERLAP),
    );
    const unique = [...new Map(apart.map((claim) => [groupKey(claim.x), claim])).values()];
    const hard_out = rng
      .shuffle(unique)
      .slice(0, NEIGHBOURS)
      .map(({ x, label }) => ({ x, y_gold: [FEVER_LABELS[label]] }));
    return { ...record, hard_out };
  });
}
