/** Prepares the next batch while the engine works on the current one. */
export class LookAhead<Batch> {
  readonly #draw: () => Promise<Batch>;
  #next: Promise<Batch> | undefined;

  constructor(draw: () => Promise<Batch>) {
    this.#draw = draw;
  }

  /** The batch prepared ahead, or a fresh one. */
  take(): Promise<Batch> {
    const taken = this.#next ?? this.#draw();
    this.#next = undefined;
    return taken;
  }

  /** Starts to prepare the next batch; its failure shows at the next `take`. */
  prepare(): void {
    const next = this.#draw();
    next.catch(() => undefined);
    this.#next = next;
  }
}
