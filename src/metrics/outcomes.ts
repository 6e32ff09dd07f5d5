/**
 * What the metrics read of an evaluation: outcomes of questions, grouped by the edit they were asked about. null: not
 * known, as of answers made elsewhere, which say nothing of target tokens and perhaps not what the base says.
 */

export interface ScopeOutcome {
  /** In scope iff > 0. */
  readonly logit: number;
  /** Position among the episode's edits of the most attended one. */
  readonly selected: number;
}

export interface InScopeOutcome {
  readonly match: boolean;
  /** The unedited model says it already. */
  readonly baseMatch: boolean | null;
  readonly matchStrict: boolean;
  readonly teacherForced: boolean | null;
  /** Σ −ln p over the `tokens` target tokens. */
  readonly negLogLik: number | null;
  readonly tokens: number | null;
  readonly scope?: ScopeOutcome | undefined;
}

export interface OutScopeOutcome {
  readonly same: boolean | null;
  readonly sameStrict: boolean | null;
  readonly goldMatch: boolean;
  readonly baseGoldMatch: boolean | null;
  readonly teacherForcedSame: boolean | null;
  /** Σ KL(base ‖ edited) over the `tokens` target tokens. */
  readonly kl: number | null;
  readonly tokens: number | null;
  readonly scope?: ScopeOutcome | undefined;
}

export interface EditOutcome {
  readonly episode: number;
  /** Position of the edit in its episode. */
  readonly edit: number;
  readonly self: InScopeOutcome;
  readonly inScope: readonly InScopeOutcome[];
  readonly noisy: readonly InScopeOutcome[];
  readonly outScope: readonly OutScopeOutcome[];
  readonly hard: readonly OutScopeOutcome[];
}

/** The in-scope items `ES` is measured on: clean rephrases, or the edit itself where there are none (metrics.md §2). */
export function headlineItems(edit: EditOutcome): readonly InScopeOutcome[] {
  return edit.inScope.length > 0 ? edit.inScope : [edit.self];
}
