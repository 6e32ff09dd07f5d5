/** What the metrics read of an evaluation: outcomes of questions, grouped by the edit they were asked about. */

export interface ScopeOutcome {
  /** In scope iff > 0. */
  readonly logit: number;
  /** Position among the episode's edits of the most attended one. */
  readonly selected: number;
}

export interface InScopeOutcome {
  readonly match: boolean;
  /** The unedited model says it already. */
  readonly baseMatch: boolean;
  readonly matchStrict: boolean;
  readonly teacherForced: boolean;
  /** Σ −ln p over the `tokens` target tokens. */
  readonly negLogLik: number;
  readonly tokens: number;
  readonly scope?: ScopeOutcome | undefined;
}

export interface OutScopeOutcome {
  readonly same: boolean;
  readonly sameStrict: boolean;
  readonly goldMatch: boolean;
  readonly baseGoldMatch: boolean;
  readonly teacherForcedSame: boolean;
  /** Σ KL(base ‖ edited) over the `tokens` target tokens. */
  readonly kl: number;
  readonly tokens: number;
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
