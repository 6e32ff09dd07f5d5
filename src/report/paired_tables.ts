import { holm, signFlipTest } from "../metrics/paired_test.js";
import type { ResultCell, ResultTable } from "./content.js";
import type { Grid, GridFigure } from "./grid.js";
import { interval, signed } from "./number_format.js";

const FIGURES = ["ES", "DD"] as const;

/** Two methods on the data sets that both were measured on. */
interface Pair {
  readonly method: string;
  readonly other: string;
  readonly datasets: readonly string[];
}

/** Every other method against SEPROG; null without SEPROG or others. */
export function referenceTests(grid: Grid): ResultTable | null {
  const { reference } = grid;
  if (reference === undefined) return null;
  const pairs = grid.methods
    .filter(({ name }) => name !== reference.name)
    .map(({ name }) => pairOf(grid, name, reference.name));
  return pairTable(grid, pairs, `Paired tests: method − ${reference.name}`, ({ method }) => method);
}

/** Every two methods that are no points of a sweep; null where there are no more than the tests against SEPROG have. */
export function allPairTests(grid: Grid): ResultTable | null {
  const names = grid.methods.filter(({ sweep }) => sweep === null).map(({ name }) => name);
  if (names.length < (grid.reference === undefined ? 2 : 3)) return null;
  const pairs = names.flatMap((method, i) => names.slice(i + 1).map((other) => pairOf(grid, method, other)));
  return pairTable(
    grid,
    pairs,
    "Paired tests of every two methods",
    ({ method, other }) => `${method} − ${other}`,
  );
}

const pairOf = (grid: Grid, method: string, other: string): Pair => ({
  method,
  other,
  datasets: grid.datasets.filter((dataset) => grid.difference("ES", method, other, [dataset]) !== null),
});

function pairTable(
  grid: Grid,
  pairs: readonly Pair[],
  title: string,
  labelOf: (pair: Pair) => string,
): ResultTable | null {
  const tested = pairs.filter(({ datasets }) => datasets.length > 0);
  if (tested.length === 0) return null;
  const columns = FIGURES.map((figure) => testedCells(grid, tested, figure));
  const whole = grid.datasets.length;
  return {
    title: `${title}, same episodes, mean over K and data sets; p by sign flips of episodes, Holm over ${tested.length}`,
    corner: "methods",
    columns: FIGURES.flatMap((figure) => [
      {
        title: `Δ${figure}`,
        help: `Difference in ${figure} of the first method to the second, episode by episode, with its 95 % interval`,
      },
      {
        title: `p (${figure})`,
        help: "How likely so large a difference is if none is there, corrected for the number of tests of the table",
      },
    ]),
    rows: tested.map((pair, i) => ({
      label: `${labelOf(pair)}${pair.datasets.length < whole ? ` (${pair.datasets.join(", ")})` : ""}`,
      cells: columns.flatMap((cells) => cells[i] ?? []),
      isMean: false,
    })),
  };
}

/** Difference and corrected p of each pair. */
function testedCells(grid: Grid, pairs: readonly Pair[], figure: GridFigure): ResultCell[][] {
  const differences = pairs.map(({ method, other, datasets }) =>
    grid.difference(figure, method, other, datasets),
  );
  // A figure that is not known of one of the two is not tested, and corrects no other's p.
  const values = pairs.flatMap(({ method, other, datasets }, i) =>
    differences[i] === null
      ? []
      : [signFlipTest(grid.pairedStrata(figure, method, other, datasets) ?? []) ?? 1],
  );
  const corrected = holm(values).values();
  return differences.map((difference) =>
    difference === null
      ? [UNTESTED, UNTESTED]
      : [
          { value: signed(difference.value), interval: interval(difference, signed) },
          { value: probability(corrected.next().value ?? 1), interval: null },
        ],
  );
}

const UNTESTED: ResultCell = { value: "–", interval: null };

const probability = (p: number): string => (p < 0.001 ? "< 0.001" : p.toFixed(3));
