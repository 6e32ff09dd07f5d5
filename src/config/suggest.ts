/** Edit distance with unit costs for insertion, deletion and replacement. */
function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(replace, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}

/** The known word a typo most likely meant, if one is near enough to say so. */
export function closest(word: string, known: readonly string[]): string | undefined {
  const lower = word.toLowerCase().replaceAll(/[-_]/g, "");
  let best: string | undefined;
  // Two letters swapped are two replacements: allow those in all but the shortest words.
  let bestDistance = Math.max(lower.length > 3 ? 2 : 1, Math.floor(lower.length / 3)) + 1;
  for (const candidate of known) {
    const found = distance(lower, candidate.toLowerCase().replaceAll(/[-_]/g, ""));
    if (found < bestDistance) {
      best = candidate;
      bestDistance = found;
    }
  }
  return best;
}

/** `; did you mean "x"?`, or nothing when no known word is near. */
export function didYouMean(word: string, known: readonly string[]): string {
  const guess = closest(word, known);
  return guess === undefined ? "" : `; did you mean "${guess}"?`;
}
