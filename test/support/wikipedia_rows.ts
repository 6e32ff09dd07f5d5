import { Rng } from "../../src/data/random.js";

const WORDS =
  "the river town was built by its people in a long war and then the first king of north island made new games for all".split(
    " ",
  );

const sentence = (rng: Rng, words: number): string =>
  Array.from({ length: words }, () => rng.pick(WORDS)).join(" ");

/** MEND's `self_sample` file over toy passages: about 30 words, continued by about 10. */
export function selfSample(count: number, seed: number) {
  const rng = Rng.fromSeed(seed);
  const starts = Array.from({ length: count }, (_, i) => `Passage ${seed}-${i}: ${sentence(rng, 30)}`);
  return {
    original: starts.map((start) => `${start} ${sentence(rng, 12)} .`),
    completions: starts.map((start) => `${start} ${sentence(rng, 10)}`),
    n_tokens: 10,
  };
}

/** WikiText: headings, blank lines, paragraphs of `words` words; every third is too short, every fourth not ASCII. */
export function wikitext(count: number, seed: number, words = 60): string {
  const rng = Rng.fromSeed(seed);
  const paragraphs = Array.from({ length: count }, (_, i) => {
    const text = sentence(rng, i % 3 === 2 ? 20 : words);
    return ` Paragraph ${seed} @-@ ${i} ${text}${i % 4 === 3 ? " Zürich" : ""} . \n`;
  });
  return [" \n", " = Article = \n", " \n", ...paragraphs].join("");
}
