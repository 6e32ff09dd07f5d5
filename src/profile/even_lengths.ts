import type { PairLengths, RowLengths, ViewLengths } from "./row_lengths.js";

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
