import { basename, resolve } from "node:path";
import type { CellResult } from "../../evaluation/records.js";
import type { Estimate } from "../../metrics/bootstrap.js";
import { median, medianRatio } from "../../metrics/median_ratio.js";
import { type Stratum, stratifiedMean } from "../../metrics/stratified.js";
import { share } from "../number_format.js";
import type { RunData } from "../run_data.js";
import { NO_BASE } from "../series.js";
import { bytes, preciseDuration } from "../units.js";
import {
  always,
  type ComparedFigure,
  cellNames,
  DOUBT_OF_SHARES,
  DOUBT_OF_TIMES,
  type Doubt,
  ifVaried,
  jointly,
  match,
  NO_DOUBT,
  verdictOf,
} from "./compared_figure.js";
import { type Comparison, outputRemark } from "./comparison.js";

const SHARES = ["ES", "DD"] as const;

type Timing = NonNullable<CellResult["timing"]>;

const COSTS: readonly {
  readonly name: string;
  readonly samples: (timing: Timing) => readonly number[];
  readonly format: (value: number) => string;
  readonly doubt: Doubt;
}[] = [
  {
    name: "training step: time",
    samples: (timing) => timing.trainStepWallMs,
    format: preciseDuration,
    doubt: DOUBT_OF_TIMES,
  },
  { name: "training step: peak", samples: (timing) => timing.trainPeakBytes, format: bytes, doubt: NO_DOUBT },
  {
    name: "inference: time",
    samples: (timing) => timing.inferenceWallMs,
    format: preciseDuration,
    doubt: DOUBT_OF_TIMES,
  },
  { name: "inference: peak", samples: (timing) => timing.inferencePeakBytes, format: bytes, doubt: NO_DOUBT },
];

interface Pair {
  readonly name: string;
  readonly before: CellResult;
  readonly after: CellResult;
}

/** ES, DD and costs of the cells that both runs have. */
export function compareRuns(before: RunData, after: RunData): Comparison {
  const resultsOf = ({ cells }: RunData): CellResult[] => cells.map(({ result }) => result);
  const [then, now] = [resultsOf(before), resultsOf(after)];
  const { both, onlyBefore, onlyAfter } = match(then, now, benchNames([...then, ...now]));
  const options = jointly(both.length * (SHARES.length + COSTS.length));
  const receipts = both.map((pair) => [pair.before.receipt, pair.after.receipt] as const);
  const unpaired = both.filter((pair) => !isSameEpisodes(pair)).length;
  const names = [before, after].map(({ folder }) => basename(resolve(folder)));
  const isTold = names[0] !== names[1];
  return {
    before: isTold ? (names[0] ?? "") : before.folder,
    after: isTold ? (names[1] ?? "") : after.folder,
    figures: both.flatMap((pair) => [
      ...SHARES.flatMap((figure) => shareFigure(pair, figure, options) ?? []),
      ...COSTS.flatMap((cost) => costFigure(pair, cost, options) ?? []),
    ]),
    remarks: [
      ...outputRemark(receipts),
      ...(unpaired === 0
        ? []
        : [
            `${unpaired} of ${both.length} cells were asked about other edits: their ES and DD are compared without pairing.`,
          ]),
    ],
    moreTables: [],
    onlyBefore,
    onlyAfter,
    receipts,
  };
}

const benchNames = (results: readonly CellResult[]): ((result: CellResult) => string) =>
  cellNames(results, ({ cell }) => [
    always(cell.method),
    always(`K = ${cell.K}`),
    ifVaried(cell.dataset),
    ifVaried(cell.model ?? NO_BASE),
    ifVaried(`seed ${cell.seed}`),
    ifVaried(cell.schedule),
  ]);

const isSameEpisodes = ({ before, after }: Pair): boolean =>
  before.provenance.episodesChecksum === after.provenance.episodesChecksum;

function shareFigure(
  pair: Pair,
  figure: (typeof SHARES)[number],
  options: ReturnType<typeof jointly>,
): ComparedFigure | null {
  const { name, before, after } = pair;
  const [then, now] = [before.cell[figure], after.cell[figure]];
  const change = stratifiedMean(differenceStrata(pair, figure), options);
  if (change === null || then === null || now === null) return null;
  return {
    cell: name,
    name: figure,
    before: then.value,
    after: now.value,
    format: share,
    change,
    kind: "difference",
    verdict: verdictOf(change, "difference", DOUBT_OF_SHARES),
  };
}

/** after − before: episode by episode where both were asked the same, else as the difference of two means. */
function differenceStrata(pair: Pair, figure: (typeof SHARES)[number]): Stratum[] {
  const [then, now] = [pair.before.perEpisode[figure], pair.after.perEpisode[figure]];
  if (isSameEpisodes(pair)) {
    const values = now.flatMap((value, i) => {
      const was = then[i] ?? null;
      return value === null || was === null ? [] : [value - was];
    });
    return [{ values, weight: 1 }];
  }
  const known = (values: readonly (number | null)[]): number[] => values.filter((value) => value !== null);
  return [
    { values: known(now), weight: 1 },
    { values: known(then), weight: -1 },
  ];
}

function costFigure(
  { name, before, after }: Pair,
  cost: (typeof COSTS)[number],
  options: ReturnType<typeof jointly>,
): ComparedFigure | null {
  if (before.timing === null || after.timing === null) return null;
  const [then, now] = [cost.samples(before.timing), cost.samples(after.timing)];
  const change: Estimate | null = medianRatio(now, then, options);
  if (change === null) return null;
  return {
    cell: name,
    name: cost.name,
    before: median(then),
    after: median(now),
    format: cost.format,
    change,
    kind: "ratio",
    verdict: verdictOf(change, "ratio", cost.doubt),
  };
}
