import { SeprogError } from "../errors.js";
import type { Measured } from "../native/addon.js";
import type { BatchSizes } from "./batch_budget.js";

export interface Batches<Item, Result extends Measured> {
  readonly items: readonly Item[];
  /** Tokens in hand for an item. */
  readonly tokensOf: (item: Item) => number;
  readonly sizes: BatchSizes;
  /** One call of the engine; `measure` asks for its memory. */
  readonly ask: (batch: readonly Item[], measure: boolean) => Promise<Result>;
  readonly take: (batch: readonly Item[], result: Result) => void;
}

/**
 * Asks all items, the longest first: rows of a batch are then of about one length, and what the first batch takes is the
 * most that any later row takes. While the engine works on one batch, the next is packed and waits in its queue.
 * A batch that is too large for the device is asked again in halves.
 * @throws what a call throws, after the calls on their way have ended
 */
export async function askInBatches<Item, Result extends Measured>({
  items,
  tokensOf,
  sizes,
  ask,
  take,
}: Batches<Item, Result>): Promise<void> {
  const ordered = items.map((item) => ({ item, tokens: tokensOf(item) })).sort((a, b) => b.tokens - a.tokens);

  async function askPiece(batch: readonly Item[], tokens: number): Promise<void> {
    const measure = sizes.asksFor(batch.length, tokens);
    let result: Result;
    try {
      result = await ask(batch, measure);
    } catch (error) {
      if (!(error instanceof SeprogError && error.code === "OUT_OF_MEMORY") || batch.length === 1)
        throw error;
      sizes.tooMany(batch.length);
      const half = Math.ceil(batch.length / 2);
      await askPiece(batch.slice(0, half), tokens);
      return askPiece(batch.slice(half), tokens);
    }
    const total = result.measurement?.total;
    if (total) sizes.took(batch.length, tokens, total.peakBytes - total.baselineBytes);
    take(batch, result);
  }

  let running: Promise<void> = Promise.resolve();
  for (let at = 0; at < ordered.length; ) {
    const tokens = ordered[at]?.tokens ?? 0;
    const wanted = Math.min(sizes.rowsFor(tokens), ordered.length - at);
    // The next size rests on what this one takes.
    if (sizes.asksFor(wanted, tokens)) await running;
    const batch = ordered.slice(at, at + sizes.rowsFor(tokens)).map(({ item }) => item);
    at += batch.length;
    const next = askPiece(batch, tokens);
    await inTurn(running, next);
    running = next;
  }
  await running;
}

/** Awaits the first of two calls on their way; where it fails, the other has ended too. */
async function inTurn(first: Promise<void>, second: Promise<void>): Promise<void> {
  try {
    await first;
  } catch (error) {
    await second.catch(() => undefined);
    throw error;
  }
  // Its failure shows when it is awaited.
  second.catch(() => undefined);
}
