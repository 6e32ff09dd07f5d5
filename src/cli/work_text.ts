import type { Work } from "../evaluation/records.js";

const count = (value: number): string => value.toLocaleString("en-US");

/**
 * What cells asked, what they did not have to ask, and how much of their time the engine worked: a line each. Nothing
 * where no cell says.
 */
export function workLines(works: readonly (Work | null)[]): string[] {
  const known = works.flatMap((work) => work ?? []);
  if (known.length === 0) return [];
  const sum = (of: (work: Work) => number): number => known.reduce((total, work) => total + of(work), 0);
  const questions = sum((work) => work.questions);
  const asked = sum((work) => work.questionsAsked);
  const reused = sum((work) => work.baseReused);
  const base = sum((work) => work.baseAsked);
  const lines = [
    `Asked: base model ${count(base)} of ${count(base + reused)} questions, the others known from before; edited models ${count(asked)} of ${count(questions)}, the others the same as one of them`,
  ];
  const wallMs = sum((work) => (work.engineMs === null ? 0 : (work.wallMs ?? 0)));
  if (wallMs > 0) {
    const share = sum((work) => work.engineMs ?? 0) / wallMs;
    lines.push(
      `Cells: ${(wallMs / 1000).toFixed(1)} s, of which the engine worked ${(100 * share).toFixed(1)} %`,
    );
  }
  return lines;
}
