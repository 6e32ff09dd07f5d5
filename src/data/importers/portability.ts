import { z } from "zod";
import { cleanText, groupKey } from "../text.js";
import type { InScopePair } from "../types.js";

/** What EasyEdit calls portability: a question that the edit answers together with other knowledge. */
export interface PortabilityQuestion {
  readonly prompt: string;
  /** Any counts there; a record has room for the first. */
  readonly answers: readonly string[];
}

const UNANSWERED = "portability question without an answer";

const textOrTexts = z.union([z.array(z.string()), z.string().transform((one) => [one])]);

/** One question a row, made of a second relation; empty where a row has none. */
export const oneHopSchema = z
  .looseObject({ "New Question": z.string(), "New Answer": textOrTexts })
  .partial()
  .nullish();

export function oneHopQuestions(given: z.output<typeof oneHopSchema>): PortabilityQuestion[] {
  const { "New Question": prompt = "", "New Answer": answers = [] } = given ?? {};
  return prompt.trim() === "" ? [] : [{ prompt, answers }];
}

/**
 * The questions as pairs of a record, each once and none that is the edit's own.
 * @returns also what the record is without, one entry a question
 */
export function entailedPairs(
  x_e: string,
  questions: readonly PortabilityQuestion[],
): { readonly entailed: InScopePair[]; readonly omitted: string[] } {
  const pairs = new Map<string, InScopePair>();
  const omitted: string[] = [];
  for (const { prompt, answers } of questions) {
    const x = cleanText(prompt);
    const y = answers.map(cleanText).find((answer) => answer !== "");
    if (x === "" || y === undefined) omitted.push(UNANSWERED);
    else if (groupKey(x) !== groupKey(x_e) && !pairs.has(groupKey(x))) pairs.set(groupKey(x), { x, y });
  }
  return { entailed: [...pairs.values()], omitted };
}
