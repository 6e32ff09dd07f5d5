/** Rows of a first call, whose memory says how many the next may have. */
const FIRST_ROWS = 16;
/** A call has at most so many times the rows of what was measured. */
const GROWTH = 4;
/** Beyond so many rows a call takes longer and no row gets cheaper. */
const MOST_ROWS = 512;

/** What a call takes, by whether it answers by one model or compares the logits of two. */
export type CallKind = "answer" | "compare";

/** What memory is for. */
export interface MemoryShares {
  /** Bytes that a call may take beyond what is there before it; default: no limit. */
  readonly bytes?: number | undefined;
  /** Bytes of the base's encoder outputs that may be kept between calls; default: none. */
  readonly encodingBytes?: number | undefined;
}

export interface BatchBudgetOptions extends MemoryShares {
  /** Rows a call at most. */
  readonly mostRows?: number | undefined;
}

/** How many rows a call may have: as many as a budget of bytes holds, going by what calls before it took. */
export class BatchBudget {
  readonly bytes: number | null;
  readonly encodingBytes: number;
  readonly mostRows: number;
  readonly #sizes: { readonly [kind in CallKind]: BatchSizes };

  constructor({ bytes, encodingBytes = 0, mostRows = MOST_ROWS }: BatchBudgetOptions = {}) {
    this.bytes = bytes ?? null;
    this.encodingBytes = encodingBytes;
    this.mostRows = mostRows;
    const sizes = (): BatchSizes => new BatchSizes(bytes ?? Number.POSITIVE_INFINITY, mostRows);
    this.#sizes = { answer: sizes(), compare: sizes() };
  }

  of(kind: CallKind): BatchSizes {
    return this.#sizes[kind];
  }

  /** Options of a call. What is measured keeps nothing and uses nothing that was kept: its peak is to be that of any call. */
  options(measure: boolean): { readonly measure?: true; readonly encodingBytes?: number } {
    if (measure) return { measure };
    return this.encodingBytes > 0 ? { encodingBytes: this.encodingBytes } : {};
  }
}

/** Sizes of one kind of call. A row's cost is taken to grow with its tokens, and with their square beyond what was measured. */
export class BatchSizes {
  readonly #budgetBytes: number;
  #mostRows: number;
  /** The most that a token of a measured call took, and the tokens a row of that call had. */
  #bytesPerToken = 0;
  #tokensMeasured = 0;
  #rowsMeasured = 0;

  constructor(budgetBytes: number, mostRows: number) {
    this.#budgetBytes = budgetBytes;
    this.#mostRows = mostRows;
  }

  /** Rows for a call whose longest row has so many tokens; at least one. */
  rowsFor(tokens: number): number {
    if (this.#budgetBytes === Number.POSITIVE_INFINITY) return this.#mostRows;
    if (this.#rowsMeasured === 0) return Math.min(FIRST_ROWS, this.#mostRows);
    const longer = Math.max(1, tokens / this.#tokensMeasured);
    const bytesPerRow = Math.max(1, this.#bytesPerToken * tokens * longer);
    const held = Math.floor(this.#budgetBytes / bytesPerRow);
    return Math.max(1, Math.min(held, this.#mostRows, GROWTH * this.#rowsMeasured));
  }

  /** Whether a call of this size is larger than any that was measured. */
  asksFor(rows: number, tokens: number): boolean {
    if (this.#budgetBytes === Number.POSITIVE_INFINITY) return false;
    return rows > this.#rowsMeasured || tokens > this.#tokensMeasured;
  }

  /** What a call with rows of up to so many tokens took at its peak. */
  took(rows: number, tokens: number, bytes: number): void {
    this.#bytesPerToken = Math.max(this.#bytesPerToken, bytes / (rows * tokens));
    this.#tokensMeasured = Math.max(this.#tokensMeasured, tokens);
    this.#rowsMeasured = Math.max(this.#rowsMeasured, rows);
  }

  /** So many rows were too many for the device. */
  tooMany(rows: number): void {
    this.#mostRows = Math.max(1, Math.min(this.#mostRows, Math.floor(rows / 2)));
  }
}
