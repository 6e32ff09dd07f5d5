/** Something drawn from a sampler, with the sampler's state right after the draw. */
export interface Drawn<Batch, State> {
  readonly batch: Batch;
  readonly stateAfter: State;
}

/**
 * Prepares the next batch while the engine works on the current one. The state of the last *used* batch is what a
 * checkpoint must hold: a batch that was drawn ahead and never used is drawn again after a resume.
 */
export class LookAhead<Batch, State> {
  readonly #draw: () => Promise<Drawn<Batch, State>>;
  #next: Promise<Drawn<Batch, State>> | undefined;

  constructor(draw: () => Promise<Drawn<Batch, State>>) {
    this.#draw = draw;
  }

  /** The batch prepared ahead, or a fresh one. */
  take(): Promise<Drawn<Batch, State>> {
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
