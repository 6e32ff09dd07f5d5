import type { BootstrapOptions, Estimate } from "./bootstrap.js";
import { type EditOutcome, headlineItems, type InScopeOutcome } from "./outcomes.js";
import { episodeMean, shareOf, tokenMean } from "./ratio.js";

type Reading = (outcome: InScopeOutcome) => boolean | null;

const share = (outcomes: readonly InScopeOutcome[], reading: Reading): (number | null)[] =>
  outcomes.map((outcome) => shareOf(reading(outcome)));

const generated = (outcome: InScopeOutcome): number => Number(outcome.match);

/** 1 for each question of an edit that counts for ES and is answered as requested, else 0. */
export const successes = (edit: EditOutcome): number[] => headlineItems(edit).map(generated);

/** ES: free generation on clean rephrases gives the requested answer (SEPROG §5.4; MEND's edit_outer). */
export function editSuccess(edits: readonly EditOutcome[], options?: BootstrapOptions): Estimate | null {
  return episodeMean(edits, successes, options);
}

export function editSuccessStrict(
  edits: readonly EditOutcome[],
  options?: BootstrapOptions,
): Estimate | null {
  return episodeMean(edits, (edit) => share(headlineItems(edit), (item) => item.matchStrict), options);
}

/** ESbase: what ES is before any edit; an entailed answer may be what the base says already. */
export function editSuccessBase(edits: readonly EditOutcome[], options?: BootstrapOptions): Estimate | null {
  return episodeMean(edits, (edit) => share(headlineItems(edit), (item) => item.baseMatch), options);
}

/** Whether an edit asks for another answer than the unedited model's own to its question. */
const asksForChange = (edit: EditOutcome): boolean => edit.self.baseMatch === false;

/** ESchanged: ES over the edits that ask for a change; null where all do, or where it is not known. */
export function editSuccessChanged(
  edits: readonly EditOutcome[],
  options?: BootstrapOptions,
): Estimate | null {
  if (edits.every(asksForChange) || edits.some(({ self }) => self.baseMatch === null)) return null;
  return episodeMean(edits, (edit) => (asksForChange(edit) ? successes(edit) : []), options);
}

/** ESgained: ES over the questions that the base does not answer as requested; null where it answers all so. */
export function editSuccessGained(
  edits: readonly EditOutcome[],
  options?: BootstrapOptions,
): Estimate | null {
  const gained = (item: InScopeOutcome): (number | null)[] => {
    if (item.baseMatch === null) return [null];
    return item.baseMatch ? [] : [generated(item)];
  };
  return episodeMean(edits, (edit) => headlineItems(edit).flatMap(gained), options);
}

/** ESself: the edit's own question. */
export function editSuccessSelf(edits: readonly EditOutcome[], options?: BootstrapOptions): Estimate | null {
  return episodeMean(edits, (edit) => [generated(edit.self)], options);
}

/** ESall: mean of an edit's rephrase share and its own question (MEND, equation 1). */
export function editSuccessAll(edits: readonly EditOutcome[], options?: BootstrapOptions): Estimate | null {
  return episodeMean(
    edits,
    (edit) => {
      const rephrases = successes(edit);
      const mean = rephrases.reduce((sum, value) => sum + value, 0) / rephrases.length;
      return [(mean + Number(edit.self.match)) / 2];
    },
    options,
  );
}

/** ESnoisy: rephrases that carry an unrelated sentence in front. */
export function editSuccessNoisy(edits: readonly EditOutcome[], options?: BootstrapOptions): Estimate | null {
  return episodeMean(edits, (edit) => edit.noisy.map(generated), options);
}

/** Every target token is the arg-max given the tokens before it: not a prediction, easier than ES (metrics.md §3). */
export function editSuccessTeacherForced(
  edits: readonly EditOutcome[],
  options?: BootstrapOptions,
): Estimate | null {
  return episodeMean(edits, (edit) => share(headlineItems(edit), (item) => item.teacherForced), options);
}

/**
 * leakGap: how much higher teacher forcing reads than free generation on the same questions, 0 when neither helps the
 * other. The right tokens before each, and where the answer ends, leak into what is scored (Yang et al. 2025, "The Mirage of Model Editing").
 */
export function leakGap(edits: readonly EditOutcome[], options?: BootstrapOptions): Estimate | null {
  const gap = ({ teacherForced, match }: InScopeOutcome): number | null =>
    teacherForced === null ? null : Number(teacherForced) - Number(match);
  return episodeMean(edits, (edit) => headlineItems(edit).map(gap), options);
}

/** −ln p per target token of the requested answers, nats. */
export function inScopeNll(edits: readonly EditOutcome[], options?: BootstrapOptions): Estimate | null {
  return tokenMean(edits, headlineItems, (item) => item.negLogLik, options);
}
