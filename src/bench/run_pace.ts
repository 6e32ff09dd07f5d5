/** A training or a cell of a run, as far as its duration depends on it. */
export interface PacedJob {
  readonly kind: "train" | "cell";
  readonly dataset: string;
  readonly K?: number;
}

/** How long the rest of a run will take, judged by the jobs of it that are done. */
export class RunPace {
  readonly #pending: PacedJob[];
  readonly #jobsAtOnce: number;
  readonly #done: { readonly job: PacedJob; readonly wallMs: number }[] = [];

  constructor(pending: readonly PacedJob[], jobsAtOnce: number) {
    this.#pending = [...pending];
    this.#jobsAtOnce = jobsAtOnce;
  }

  done(job: PacedJob, wallMs: number): void {
    this.dropped(job);
    this.#done.push({ job, wallMs });
  }

  /** A job that failed or turned out to be unnecessary. */
  dropped(job: PacedJob): void {
    const at = this.#pending.findIndex(
      ({ kind, dataset, K }) => kind === job.kind && dataset === job.dataset && K === job.K,
    );
    if (at !== -1) this.#pending.splice(at, 1);
  }

  /** Milliseconds; null as long as a kind of job is to come of which none has been done. */
  etaMs(): number | null {
    let sum = 0;
    for (const job of this.#pending) {
      const expected = this.#expectedMs(job);
      if (expected === null) return null;
      sum += expected;
    }
    return sum / this.#jobsAtOnce;
  }

  /** Mean over the done jobs that are most like it. */
  #expectedMs(job: PacedJob): number | null {
    const sameKind = this.#done.filter(({ job: { kind } }) => kind === job.kind);
    const sameData = sameKind.filter(({ job: { dataset } }) => dataset === job.dataset);
    const same = sameData.filter(({ job: { K } }) => K === job.K);
    const alike = [same, sameData, sameKind].find((jobs) => jobs.length > 0);
    return alike === undefined ? null : alike.reduce((sum, { wallMs }) => sum + wallMs, 0) / alike.length;
  }
}
