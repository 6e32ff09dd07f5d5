import { SeprogError } from "../errors.js";
import { didYouMean } from "./suggest.js";
import type { SuiteConfig, SuiteDataset, SuiteMethod } from "./suite.js";

/** Parts of a suite to be run; what is absent is not narrowed. */
export interface Selection {
  /** Names of methods, or of swept ones for all their values. */
  readonly methods?: readonly string[] | undefined;
  readonly datasets?: readonly string[] | undefined;
  readonly k?: readonly number[] | undefined;
}

/**
 * The suite with the chosen methods, data sets and K alone, in its own order.
 * @throws SeprogError CONFIG_INVALID listing every choice that the suite lacks
 */
export function selectFrom(suite: SuiteConfig, { methods, datasets, k }: Selection): SuiteConfig {
  const known = {
    datasets: suite.datasets.map(({ name }) => name),
    methods: [
      ...new Set(suite.datasets.flatMap((dataset) => Object.entries(dataset.methods).flatMap(namesOf))),
    ],
    k: [...new Set(suite.datasets.flatMap((dataset) => dataset.k))].map(String),
  };
  const problems = [
    ...unknown("methods", methods ?? [], known.methods),
    ...unknown("datasets", datasets ?? [], known.datasets),
    ...unknown("k", k?.map(String) ?? [], known.k),
  ];
  if (problems.length > 0) throw new SeprogError("CONFIG_INVALID", problems.join("\n"));
  const chosen = (dataset: SuiteDataset): SuiteDataset => ({
    ...dataset,
    k: k === undefined ? dataset.k : dataset.k.filter((K) => k.includes(K)),
    methods: Object.fromEntries(
      Object.entries(dataset.methods).filter(
        (entry) => methods === undefined || namesOf(entry).some((name) => methods.includes(name)),
      ),
    ),
  });
  return {
    ...suite,
    datasets: suite.datasets
      .filter(({ name }) => datasets === undefined || datasets.includes(name))
      .map(chosen)
      .filter((dataset) => dataset.k.length > 0),
  };
}

/** What a method may be chosen by. */
const namesOf = ([name, { sweep }]: [string, SuiteMethod]): string[] =>
  sweep === null ? [name] : [name, sweep.of];

function unknown(option: string, wanted: readonly string[], known: readonly string[]): string[] {
  return wanted
    .filter((name) => !known.includes(name))
    .map(
      (name) =>
        `expected some of ${known.join(", ")} for \`--${option}\` but received "${name}"${/^\d+$/.test(name) ? "" : didYouMean(name, known)}`,
    );
}

/** The suite with so many rows a chunk in every method that works in chunks. */
export function withMicroBatch(suite: SuiteConfig, microBatch: number): SuiteConfig {
  const chunked = (method: SuiteMethod): SuiteMethod => {
    const { editor } = method.config;
    if (!("microBatch" in editor)) return method;
    const other = { ...editor, microBatch };
    const tune = method.tune && {
      ...method.tune,
      candidates: method.tune.candidates.map((one) => {
        const tried = { ...one.editor, microBatch };
        return { ...one, editor: tried };
      }),
    };
    return { ...method, config: { ...method.config, editor: other }, tune };
  };
  return {
    ...suite,
    datasets: suite.datasets.map((dataset) => ({
      ...dataset,
      methods: Object.fromEntries(
        Object.entries(dataset.methods).map(([name, method]) => [name, chunked(method)] as const),
      ),
    })),
  };
}
