import type { BootstrapOptions, Estimate } from "./bootstrap.js";
import * as drawdown from "./drawdown.js";
import * as success from "./edit_success.js";
import * as gate from "./gate.js";
import type { EditOutcome } from "./outcomes.js";

/** A figure over the outcomes of an evaluation; null where it has nothing to be measured on. */
export type Metric = (edits: readonly EditOutcome[], options?: BootstrapOptions) => Estimate | null;

/** Every metric by the name it has in result files. A new metric: its function and one line here. */
export const METRICS = {
  ES: success.editSuccess,
  ESstrict: success.editSuccessStrict,
  ESbase: success.editSuccessBase,
  ESgained: success.editSuccessGained,
  ESchanged: success.editSuccessChanged,
  ESself: success.editSuccessSelf,
  ESall: success.editSuccessAll,
  ESnoisy: success.editSuccessNoisy,
  ESteacherForced: success.editSuccessTeacherForced,
  leakGap: success.leakGap,
  nllIn: success.inScopeNll,
  DD: drawdown.drawdown,
  DDstrict: drawdown.drawdownStrict,
  DDgold: drawdown.drawdownGold,
  errBase: drawdown.baseError,
  baseAccuracy: drawdown.baseAccuracy,
  DDhard: drawdown.drawdownHard,
  DDteacherForced: drawdown.drawdownTeacherForced,
  klOut: drawdown.outScopeKl,
  gateAccuracy: gate.gateAccuracy,
  gatePrecision: gate.gatePrecision,
  gateRecall: gate.gateRecall,
  gateAuc: gate.gateAuc,
  gateOnRandom: gate.gateOnRandom,
  gateOnHard: gate.gateOnHard,
  selectionAccuracy: gate.selectionAccuracy,
} as const satisfies Record<string, Metric>;

export type MetricName = keyof typeof METRICS;

/** All metrics of an evaluation. */
export function computeMetrics(
  edits: readonly EditOutcome[],
  options?: BootstrapOptions,
): Record<MetricName, Estimate | null> {
  const entries = Object.entries(METRICS).map(([name, metric]) => [name, metric(edits, options)] as const);
  return Object.fromEntries(entries) as Record<MetricName, Estimate | null>;
}
