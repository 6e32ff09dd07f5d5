import type { BootstrapOptions, Estimate } from "./bootstrap.js";
import type { EditOutcome, OutScopeOutcome } from "./outcomes.js";
import { episodeMean, shareOf, tokenMean } from "./ratio.js";

function changed(
  edits: readonly EditOutcome[],
  items: (edit: EditOutcome) => readonly OutScopeOutcome[],
  kept: (outcome: OutScopeOutcome) => boolean | null,
  options: BootstrapOptions | undefined,
): Estimate | null {
  return episodeMean(edits, (edit) => items(edit).map((item) => shareOf(not(kept(item)))), options);
}

const not = (value: boolean | null): boolean | null => (value === null ? null : !value);

const random = (edit: EditOutcome): readonly OutScopeOutcome[] => edit.outScope;

/** 1 for each random out-of-scope question under an edit whose answer changed, else 0; null where it is not known. */
export const changes = (edit: EditOutcome): (number | null)[] =>
  edit.outScope.map((item) => shareOf(not(item.same)));

/** DD: share of random out-of-scope questions whose generated answer is no longer the unedited model's (SEPROG §5.4). */
export function drawdown(edits: readonly EditOutcome[], options?: BootstrapOptions): Estimate | null {
  return episodeMean(edits, changes, options);
}

export function drawdownStrict(edits: readonly EditOutcome[], options?: BootstrapOptions): Estimate | null {
  return changed(edits, random, (item) => item.sameStrict, options);
}

/** DDgold: share answered otherwise than gold; holds the base's own errors, see `baseError`. */
export function drawdownGold(edits: readonly EditOutcome[], options?: BootstrapOptions): Estimate | null {
  return changed(edits, random, (item) => item.goldMatch, options);
}

/** errBase: what DDgold would be with no edit at all. */
export function baseError(edits: readonly EditOutcome[], options?: BootstrapOptions): Estimate | null {
  return changed(edits, random, (item) => item.baseGoldMatch, options);
}

/** baseAccuracy: share of random out-of-scope questions that the unedited model answers with a gold answer. */
export function baseAccuracy(edits: readonly EditOutcome[], options?: BootstrapOptions): Estimate | null {
  return episodeMean(edits, (edit) => edit.outScope.map((item) => shareOf(item.baseGoldMatch)), options);
}

/** DDhard: as DD, on questions close to an edit that it must not touch. */
export function drawdownHard(edits: readonly EditOutcome[], options?: BootstrapOptions): Estimate | null {
  return changed(
    edits,
    (edit) => edit.hard,
    (item) => item.same,
    options,
  );
}

/** 1 − SERAC's retain: arg-max tokens differ somewhere under teacher forcing on gold (metrics.md §4). */
export function drawdownTeacherForced(
  edits: readonly EditOutcome[],
  options?: BootstrapOptions,
): Estimate | null {
  return changed(edits, random, (item) => item.teacherForcedSame, options);
}

/** KL(base ‖ edited) per target token of the gold answers, nats (metrics.md §6). */
export function outScopeKl(edits: readonly EditOutcome[], options?: BootstrapOptions): Estimate | null {
  return tokenMean(edits, random, (item) => item.kl, options);
}
