import type { Work } from "../evaluation/records.js";

const count = (value: number): string => value.toLocaleString("en-US");

/** One line: what cells asked, and what they did not have to ask. Nothing where no cell says. */
export function workText(works: readonly (Work | null)[]): string | undefined {
  const known = works.flatMap((work) => work ?? []);
  if (known.length === 0) return undefined;
  const sum = (of: (work: Work) => number): number => known.reduce((total, work) => total + of(work), 0);
  const questions = sum((work) => work.questions);
  const asked = sum((work) => work.questionsAsked);
  const reused = sum((work) => work.baseReused);
  const base = sum((work) => work.baseAsked);
  return `Asked: base model ${count(base)} of ${count(base + reused)} questions, the others known from before; edited models ${count(asked)} of ${count(questions)}, the others the same as one of them`;
}
