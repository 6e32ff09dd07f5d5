import type { EditRequests, EpisodeBatch, Generation, RowViews, TokenRows } from "../native/addon.js";

/** Which inputs are answered: those about the edits, or others. */
export type Asked = "inScope" | "outScope";

/** One batch of inputs, one an edit, as a model is asked them. */
export interface Questions {
  readonly source: TokenRows;
  readonly options: {
    readonly goldEdits?: Int32Array;
    readonly views?: RowViews;
    readonly maxNewTokens: number;
    readonly stopAtEnd: boolean;
  };
}

/** K edits with what is asked about them; the same ones every time. */
export interface Workload {
  /** One training episode, made as training makes it; null for methods without a training step. */
  readonly trainBatch: (() => Promise<EpisodeBatch>) | null;
  requests(): EditRequests;
  questions(asked: Asked): Questions;
  /** In-scope inputs answered as their edits ask; null where ids are random. */
  successes(generation: Generation): number | null;
}
