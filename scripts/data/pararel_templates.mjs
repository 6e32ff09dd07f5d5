/**
 * ParaRel patterns as cloze templates: `[X]` is the subject, `_` the answer. A template that ends in the answer drops it
 * and its final punctuation, so that it reads like a CounterFact prompt; no template ends with a full stop.
 */

/** Patterns left out, with the reason. */
const REJECTED = new Map([
  ["P27 [X] is [Y] citizen.", "needs a demonym, the objects are countries"],
  ["P136 [Y] musicians [X].", "not a sentence"],
  ["P495 [X], who was from [Y].", "subjects of the relation are works and things, not persons"],
]);

function toTemplate(pattern) {
  let text = pattern
    .replace(/\s+/g, " ")
    .trim()
    .replace(/ ?[.,]$/, "")
    .replace("[Y]", "_");
  if (text.endsWith(" _")) text = text.slice(0, -2);
  return text[0].toUpperCase() + text.slice(1);
}

/** `a [Y]` and `an [Y]` stand side by side in ParaRel: the article would give the answer's first letter away. */
function hasArticleTwin(pattern, patterns) {
  return /\ban \[Y\]/.test(pattern) && patterns.includes(pattern.replace(/\ban \[Y\]/, "a [Y]"));
}

/**
 * @param {Map<string, {pattern: string}[]>} graphs relation id to ParaRel lines
 * @returns {{templates: Map<string, string[]>, rejected: {relation: string, pattern: string, reason: string}[]}}
 */
export function buildTemplates(graphs) {
  const templates = new Map();
  const rejected = [];
  for (const [relation, lines] of graphs) {
    const patterns = lines.map((line) => line.pattern);
    const kept = [];
    for (const pattern of patterns) {
      const reason =
        REJECTED.get(`${relation} ${pattern.trim()}`) ??
        (hasArticleTwin(pattern, patterns) ? "its twin with the article `a` is kept" : undefined);
      if (reason === undefined) kept.push(toTemplate(pattern));
      else rejected.push({ relation, pattern, reason });
    }
    templates.set(relation, [...new Set(kept)]);
  }
  return { templates, rejected };
}

export function fillTemplate(template, subject) {
  return template.replace("[X]", () => subject);
}
