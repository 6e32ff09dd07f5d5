import type { EditRequests, EpisodeBatch, PairRows, RowViews, TokenRows } from "../native/addon.js";

/** Tokens of each row, in order: all that costs and peaks depend on. */
type Lengths = readonly number[];

export interface PairLengths {
  readonly source: Lengths;
  readonly target: Lengths;
}

export interface ViewLengths {
  readonly classifier?: Lengths | undefined;
  readonly counterfactual?: Lengths | undefined;
}

export interface RequestLengths {
  readonly edits: PairLengths;
  readonly editText: Lengths;
  readonly editPrefix?: Lengths | undefined;
  /** Questions that come with the edits. */
  readonly outScope?: PairLengths | undefined;
}

export interface BatchLengths extends RequestLengths {
  readonly inScope: PairLengths;
  readonly outScope: PairLengths;
  readonly inScopeViews?: ViewLengths | undefined;
  readonly outScopeViews?: ViewLengths | undefined;
}

export interface QuestionLengths {
  readonly source: Lengths;
  readonly views?: ViewLengths | undefined;
  /** Tokens of the longest answer. */
  readonly answer: number;
}

/** The rows of a profiled cell: enough to run or to plan the same work again with random ids. */
export interface RowLengths {
  /** Null for methods without a training step. */
  readonly trainStep: BatchLengths | null;
  readonly requests: RequestLengths;
  readonly inScope: QuestionLengths;
  readonly outScope: QuestionLengths;
}

export const lengthsOf = ({ lengths }: TokenRows): number[] => Array.from(lengths);

export const pairLengths = ({ source, target }: PairRows): PairLengths => ({
  source: lengthsOf(source),
  target: lengthsOf(target),
});

export const viewLengths = ({ classifier, counterfactual }: RowViews): ViewLengths => ({
  ...(classifier && { classifier: lengthsOf(classifier) }),
  ...(counterfactual && { counterfactual: lengthsOf(counterfactual) }),
});

export const requestLengths = ({
  edits,
  editText,
  editPrefix,
  outScope,
}: Omit<EditRequests, "labels">): RequestLengths => ({
  edits: pairLengths(edits),
  editText: lengthsOf(editText),
  ...(editPrefix && { editPrefix: lengthsOf(editPrefix) }),
  ...(outScope && { outScope: pairLengths(outScope) }),
});

export const batchLengths = (batch: EpisodeBatch): BatchLengths => ({
  ...requestLengths(batch),
  inScope: pairLengths(batch.inScope),
  outScope: pairLengths(batch.outScope),
  ...(batch.inScopeViews && { inScopeViews: viewLengths(batch.inScopeViews) }),
  ...(batch.outScopeViews && { outScopeViews: viewLengths(batch.outScopeViews) }),
});
