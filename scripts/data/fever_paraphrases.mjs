// Which machine paraphrases of a claim are kept. Back-translation loses names, numbers and negations; these rules find
// such losses by the words alone. docs/data.md says what they do not find.

/** Words that turn a claim round. */
const NEGATIONS =
  /\b(?:not|never|no|none|nobody|nothing|nowhere|neither|nor|without|zero|yet to|refus\w*|fail\w*|unable|incapable|cannot)\b|n't\b/giu;
const EXCLUSIONS =
  /\b(?:only|exclusive(?:ly)?|solely|just|merely|purely|entirely|strictly|simply|nothing but)\b/iu;
const PRONOUN = /^(?:he|she|it|they|his|her|its|their|this|these|that|those|we|i|you|one|there|what|who)\b/iu;
/** A first word that a claim may lose without losing a name. */
const FUNCTION_WORD =
  /^(?:the|a|an|in|on|at|by|for|from|of|to|as|with|during|after|before|there|since|until|while|when|it|one|over|under|only|among|between|around|through|throughout|despite|not|all|some|most|many|no)$/u;
const MARKUP = /==|[[\]<>|]|https?:|\?$/u;

const words = (text) =>
  (text.match(/[\p{L}\p{N}'’.-]+/gu) ?? []).map((word) => ({
    key: word
      .replace(/(?:'s|’s|'|’)$/u, "")
      .replace(/[^\p{L}\p{N}]/gu, "")
      .toLowerCase(),
    capital: /^\p{Lu}/u.test(word),
  }));
const numbers = (text) => (text.match(/\d+/gu) ?? []).sort().join(" ");
const negations = (text) => (text.match(NEGATIONS) ?? []).length;
const names = (list) => list.slice(1).flatMap(({ key, capital }) => (capital ? [key] : []));

/** @returns {string | undefined} why the paraphrase is left out */
export function paraphraseFault(claim, paraphrase) {
  const [own, other] = [words(claim), words(paraphrase)];
  if (other.length === 0) return "no words";
  if (MARKUP.test(paraphrase)) return "wiki markup or a question";
  const pronoun = PRONOUN.exec(paraphrase)?.[0].toLowerCase();
  if (pronoun !== undefined && own[0]?.key !== pronoun) return "a pronoun for the subject";
  if (numbers(claim) !== numbers(paraphrase)) return "other numbers";
  if (negations(claim) !== negations(paraphrase)) return "another count of negations";
  if (EXCLUSIONS.test(claim) !== EXCLUSIONS.test(paraphrase)) return 'with or without "only"';
  const [ownKeys, otherKeys] = [new Set(own.map(({ key }) => key)), new Set(other.map(({ key }) => key))];
  const first = own[0]?.key ?? "";
  if (!FUNCTION_WORD.test(first) && !otherKeys.has(first)) return "without the claim's first word";
  if (names(own).some((key) => !otherKeys.has(key))) return "without a name of the claim";
  if (names(other).some((key) => !ownKeys.has(key))) return "with another name";
  const ratio = other.length / own.length;
  return ratio < 0.6 || ratio > 1.7 ? "much shorter or longer" : undefined;
}
