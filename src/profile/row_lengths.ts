import type { EditRequests, EpisodeBatch, PairRows, RowViews, TokenRows } from "../native/addon.js";

/** Tokens of each row, in order: all that costs and peaks depend on. */
type Lengths = readonly number[];

interface PairLengths {
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

/** Tokens a row in each group of a workload of random ids. */
export interface TokensEach {
  readonly source: number;
  readonly target: number;
  readonly edit: number;
}

/** What a method reads beside questions, answers and edits. */
export interface ReadBeside {
  /** Views of a router's models, and the prefix of its edits. */
  readonly views: boolean;
  /** Out-of-scope questions that come with the edits. */
  readonly outScopeRequests: number;
}

/** K edits whose rows of one kind are all of one length. */
export function evenLengths(
  K: number,
  { source, target, edit }: TokensEach,
  { views, outScopeRequests }: ReadBeside,
): RowLengths {
  const rows = (count: number, length: number): number[] => new Array<number>(count).fill(length);
  const pairs = (count: number): PairLengths => ({
    source: rows(count, source),
    target: rows(count, target),
  });
  const viewed: ViewLengths = { classifier: rows(K, source), counterfactual: rows(K, source) };
  const asked = { source: rows(K, source), ...(views && { views: viewed }), answer: target };
  const edits = {
    edits: pairs(K),
    editText: rows(K, edit),
    ...(views && { editPrefix: rows(K, edit) }),
  };
  return {
    trainStep: {
      ...edits,
      inScope: pairs(K),
      outScope: pairs(K),
      ...(views && { inScopeViews: viewed, outScopeViews: viewed }),
    },
    requests: { ...edits, ...(outScopeRequests > 0 && { outScope: pairs(outScopeRequests) }) },
    inScope: asked,
    outScope: asked,
  };
}
