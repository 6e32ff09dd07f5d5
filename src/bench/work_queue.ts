/**
 * Work that several lanes share. An item that is taken must be marked `done`; until then it may add others, so that a lane
 * with nothing to take waits.
 */
export class WorkQueue<Item> {
  readonly #items: Item[];
  #open = 0;
  #waiting: (() => void)[] = [];

  constructor(items: Iterable<Item>) {
    this.#items = [...items];
  }

  /** Of the items that nobody has taken. */
  get length(): number {
    return this.#items.length;
  }

  /** Undefined when everything is done. */
  async take(): Promise<Item | undefined> {
    while (this.#items.length === 0 && this.#open > 0)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    const item = this.#items.shift();
    if (item !== undefined) this.#open += 1;
    return item;
  }

  /** The one that was taken is finished, `next` comes before everything else, `last` behind it. */
  done({
    next = [],
    last = [],
  }: {
    readonly next?: readonly Item[];
    readonly last?: readonly Item[];
  } = {}): void {
    this.#items.unshift(...next);
    this.#items.push(...last);
    this.#open -= 1;
    const woken = this.#waiting;
    this.#waiting = [];
    for (const wake of woken) wake();
  }
}
