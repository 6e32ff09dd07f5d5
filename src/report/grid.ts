import type { CellResult, Figure, OverBudget } from "../evaluation/records.js";
import {
  DIFFERENCE_OF_SHARES,
  meanOfStrata,
  meanOverSeeds,
  type Range,
  SHARE,
  type Stratum,
  stratifiedMean,
} from "../metrics/stratified.js";

/** Figures that are averaged over K and compared between methods. */
export type GridFigure = "ES" | "DD";

/** A mean over K with its interval: over seeds where there are several, else over episodes. */
export interface GridEstimate extends Figure {
  readonly over: "seeds" | "episodes";
}

export interface GridMethod {
  readonly name: string;
  readonly variant: string;
  readonly sweep: CellResult["cell"]["sweep"];
}

/** The values of a cell's episodes, from the results of one method or two. */
type ValuesOf = (results: readonly (CellResult | undefined)[]) => readonly (number | null)[];

/** First method − second, episode by episode; nothing where they were not asked the same. */
const differencesIn =
  (figure: GridFigure): ValuesOf =>
  ([ours, theirs]) => {
    if (ours?.provenance.episodesChecksum !== theirs?.provenance.episodesChecksum) return [];
    const base = theirs?.perEpisode[figure] ?? [];
    return (ours?.perEpisode[figure] ?? []).map((value, episode) => {
      const other = base[episode] ?? null;
      return value === null || other === null ? null : value - other;
    });
  };

/** The results of a run by data set and method, for figures over K. */
export class Grid {
  readonly datasets: readonly string[];
  readonly methods: readonly GridMethod[];
  readonly #results: readonly CellResult[];
  readonly #overBudget: readonly OverBudget[];

  /** @param overBudget planned cells that have no result because their editor's training took too long */
  constructor(results: readonly CellResult[], overBudget: readonly OverBudget[] = []) {
    this.#results = results;
    this.#overBudget = overBudget;
    const cells = [...results.map(({ cell }) => cell), ...overBudget];
    this.datasets = [...new Set(cells.map(({ dataset }) => dataset))];
    const methods = new Map(
      cells.map(({ method, variant, sweep }) => [method, { name: method, variant, sweep }]),
    );
    this.methods = [...methods.values()];
  }

  /** Why a mean over these data sets is missing, where training that took too long is the reason. */
  overBudget(method: string, datasets: readonly string[]): OverBudget | undefined {
    return this.#overBudget.find((cell) => cell.method === method && datasets.includes(cell.dataset));
  }

  /** The method that the others switch something off of; undefined without one, or where several could be meant. */
  get reference(): GridMethod | undefined {
    const plain = this.methods.filter(({ variant, sweep }) => variant === "seprog" && sweep === null);
    return plain.length === 1 ? plain[0] : undefined;
  }

  /** Unweighted mean over K, then over the data sets; null where a cell is missing. */
  mean(figure: GridFigure, method: string, datasets: readonly string[]): GridEstimate | null {
    return this.#estimate(datasets, [method], ([result]) => result?.perEpisode[figure] ?? [], SHARE);
  }

  /** The same of `method` − `reference`, episode by episode; null where they were not asked the same. */
  difference(
    figure: GridFigure,
    method: string,
    reference: string,
    datasets: readonly string[],
  ): GridEstimate | null {
    return this.#estimate(datasets, [method, reference], differencesIn(figure), DIFFERENCE_OF_SHARES);
  }

  /** The differences themselves, by data set, K and seed; weighted to make their mean. */
  pairedStrata(
    figure: GridFigure,
    method: string,
    reference: string,
    datasets: readonly string[],
  ): Stratum[] | null {
    const complete = this.#complete(datasets, [method, reference], differencesIn(figure));
    if (complete.length === 0) return null;
    return complete.flatMap((strata) =>
      strata.map(({ values, weight }) => ({ values, weight: weight / complete.length })),
    );
  }

  #estimate(
    datasets: readonly string[],
    methods: readonly string[],
    valuesOf: ValuesOf,
    range: Range,
  ): GridEstimate | null {
    const complete = this.#complete(datasets, methods, valuesOf);
    const overSeeds = meanOverSeeds(
      complete.map((strata) => meanOfStrata(strata)),
      range,
    );
    if (overSeeds !== null) return { ...overSeeds, over: "seeds" };
    const overEpisodes = stratifiedMean(complete[0] ?? []);
    return overEpisodes && { ...overEpisodes, over: "episodes" };
  }

  /** The strata of each seed that has all cells, with values in all of them. */
  #complete(datasets: readonly string[], methods: readonly string[], valuesOf: ValuesOf): Stratum[][] {
    const seedsOf = datasets.map(
      (dataset) => new Set(this.#cells(dataset, methods[0]).map(({ cell }) => cell.seed)),
    );
    const [first = new Set<number | null>(), ...others] = seedsOf;
    const seeds = [...first].filter((seed) => others.every((set) => set.has(seed)));
    const strataOf = (seed: number | null): Stratum[] | null => {
      const strata: Stratum[] = [];
      for (const dataset of datasets) {
        const ks = [...new Set(this.#cells(dataset).map(({ cell }) => cell.K))];
        for (const K of ks) {
          const results = methods.map((method) =>
            this.#cells(dataset, method).find(({ cell }) => cell.K === K && cell.seed === seed),
          );
          if (results.includes(undefined)) return null;
          const values = valuesOf(results).filter((value) => value !== null);
          strata.push({ values, weight: 1 / (ks.length * datasets.length) });
        }
      }
      return strata;
    };
    return seeds.flatMap((seed) => {
      const strata = strataOf(seed);
      return strata === null || strata.some(({ values }) => values.length === 0) ? [] : [strata];
    });
  }

  #cells(dataset: string, method?: string): CellResult[] {
    return this.#results.filter(
      ({ cell }) => cell.dataset === dataset && (method === undefined || cell.method === method),
    );
  }
}
