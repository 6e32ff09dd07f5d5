import type { Estimate } from "../../metrics/bootstrap.js";
import { median } from "../../metrics/median_ratio.js";
import { changeOverRounds, ratioOverRounds } from "../../metrics/rounds.js";
import type { ProfileRecord } from "../../profile/record.js";
import type { ResultTable } from "../content.js";
import { times } from "../number_format.js";
import { type Cost, EMPTY, estimateCell, plain, samplesOf, TABLE_3 } from "../profile/cost_columns.js";
import { OPERATION_NAMES, OPERATIONS, operationOf, totalFlops } from "../profile/operations.js";
import type { ProfileRun } from "../profile/profile_run.js";
import { recordsAt, referenceAt, settingsOf, threadsText } from "../profile/settings.js";
import { bytes, flop, preciseDuration } from "../units.js";
import {
  always,
  type ComparedFigure,
  cellNames,
  DOUBT_OF_TIMES,
  ifVaried,
  jointly,
  match,
  NO_DOUBT,
  verdictOf,
} from "./compared_figure.js";
import { type Comparison, outputRemark } from "./comparison.js";

/** Time and peak of every operation; FLOPs are compared by themselves, as they have no spread. */
const COSTS: readonly Pick<Cost, "title" | "operation" | "of" | "samples" | "format">[] =
  OPERATION_NAMES.flatMap((operation) => [
    {
      title: `${OPERATIONS[operation]}: time`,
      operation,
      of: "time" as const,
      samples: ({ wallMs }) => wallMs,
      format: preciseDuration,
    },
    {
      title: `${OPERATIONS[operation]}: peak`,
      operation,
      of: "memory" as const,
      samples: ({ peakBytes }) => peakBytes,
      format: bytes,
    },
  ]);

/** Costs of the cells that both runs have. */
export function compareProfiles(before: ProfileRun, after: ProfileRun): Comparison {
  const nameOf = profileNames([before, after]);
  const { both, onlyBefore, onlyAfter } = match(before.records, after.records, nameOf);
  const options = jointly(both.length * COSTS.length);
  const receipts = both.map((pair) => [pair.before.receipt, pair.after.receipt] as const);
  return {
    before: before.name,
    after: after.name === before.name ? after.folder : after.name,
    figures: both.flatMap((pair) => [
      ...COSTS.flatMap((cost) => costFigure(pair, cost, options) ?? []),
      ...OPERATION_NAMES.flatMap((operation) => flopFigure(pair, operation) ?? []),
    ]),
    remarks: outputRemark(receipts),
    moreTables: ratioTables(before, after),
    onlyBefore,
    onlyAfter,
    receipts,
  };
}

interface Pair {
  readonly name: string;
  readonly before: ProfileRecord;
  readonly after: ProfileRecord;
}

/** The device and its like tell cells apart only where one run has several: runs on two machines compare. */
function profileNames(runs: readonly ProfileRun[]): (record: ProfileRecord) => string {
  const records = runs.flatMap((run) => run.records);
  const plainName = cellNames(records, ({ method, dataset, model, K, seed }) => [
    always(method),
    always(`K = ${K}`),
    ifVaried(dataset ?? "random ids"),
    ifVaried(model),
    ifVaried(`seed ${seed}`),
  ]);
  const isPlainEnough = runs.every((run) => new Set(run.records.map(plainName)).size === run.records.length);
  return isPlainEnough
    ? plainName
    : (record) => `${plainName(record)}, ${record.device}, ${record.dtype}, ${threadsText(record.threads)}`;
}

function costFigure(
  { name, before, after }: Pair,
  cost: (typeof COSTS)[number],
  options: ReturnType<typeof jointly>,
): ComparedFigure | null {
  const [then, now] = [samplesOf(before, cost), samplesOf(after, cost)];
  const change = then && now && changeOverRounds(now, then, options);
  if (then === null || now === null || change === null) return null;
  return {
    cell: name,
    name: cost.title,
    before: median(then.flat()),
    after: median(now.flat()),
    format: cost.format,
    change,
    kind: "ratio",
    verdict: verdictOf(change, "ratio", cost.of === "time" ? DOUBT_OF_TIMES : NO_DOUBT),
  };
}

function flopFigure(
  { name, before, after }: Pair,
  operation: (typeof OPERATION_NAMES)[number],
): ComparedFigure | null {
  const counts = [before, after].map((record) => operationOf(record, operation)?.flops);
  const [then, now] = counts.map((flops) => (flops ? totalFlops(flops) : 0));
  if (!then || !now) return null;
  const change: Estimate = { value: now / then, low: now / then, high: now / then, n: 1 };
  return {
    cell: name,
    name: `${OPERATIONS[operation]}: FLOPs`,
    before: then,
    after: now,
    format: flop,
    change,
    kind: "ratio",
    verdict: verdictOf(change, "ratio", NO_DOUBT),
  };
}

/** Every method's ratio to SEPROG in both runs: what a slower machine leaves as it is. */
function ratioTables(before: ProfileRun, after: ProfileRun): ResultTable[] {
  const later = settingsOf(after.records);
  return settingsOf(before.records).flatMap((setting) => {
    const other = later.find(({ dataset, model }) => dataset === setting.dataset && model === setting.model);
    if (other === undefined) return [];
    return setting.Ks.flatMap((K): ResultTable[] => {
      const references = [referenceAt(setting, K), referenceAt(other, K)] as const;
      const [then, now] = references;
      if (then === undefined || now === undefined) return [];
      const { both } = match(recordsAt(setting, K), recordsAt(other, K), ({ method }) => method);
      const others = both.filter((pair) => pair.before !== then);
      if (others.length === 0) return [];
      return [
        {
          title: `Multiples of ${then.method}'s costs at K = ${K}, before and after · ${setting.title}`,
          corner: "method",
          columns: TABLE_3.flatMap(({ title }) => [
            {
              title: `${title}, before`,
              help: `Median of the method / median of ${then.method} in the first run`,
            },
            { title: `${title}, after`, help: "The same in the second run" },
            { title: "agree", help: "Whether the intervals before and after overlap" },
          ]),
          rows: others.map((pair) => ({
            label: pair.name,
            cells: TABLE_3.flatMap((cost) => {
              const ratios = [ratioTo(then, pair.before, cost), ratioTo(now, pair.after, cost)] as const;
              return [...ratios.map((ratio) => estimateCell(ratio, times)), agreement(...ratios)];
            }),
            isMean: false,
          })),
        },
      ];
    });
  });
}

function ratioTo(reference: ProfileRecord, record: ProfileRecord, cost: Cost): Estimate | null {
  const [ours, theirs] = [samplesOf(record, cost), samplesOf(reference, cost)];
  return ours && theirs && ratioOverRounds(ours, theirs);
}

function agreement(before: Estimate | null, after: Estimate | null) {
  if (before === null || after === null) return EMPTY;
  return plain(before.low <= after.high && after.low <= before.high ? "yes" : "no");
}
