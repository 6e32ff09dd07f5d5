/** Answers are compared after trimming and lower-casing (metrics.md §1). */
export function normaliseAnswer(text: string): string {
  return text.trim().toLowerCase();
}

/** A set of answers as reference means membership. */
export function matchesAny(answer: string, references: readonly string[]): boolean {
  const normal = normaliseAnswer(answer);
  return references.some((reference) => normaliseAnswer(reference) === normal);
}

/** Case counts; blanks at the ends never do. */
export function matchesAnyStrict(answer: string, references: readonly string[]): boolean {
  const trimmed = answer.trim();
  return references.some((reference) => reference.trim() === trimmed);
}
