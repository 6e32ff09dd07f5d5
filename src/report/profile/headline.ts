import type { Chart } from "../charts.js";
import { operationOf, partMs } from "./operations.js";
import { PHASE_PARTS } from "./parts.js";
import type { ProfileRun } from "./profile_run.js";
import { recordsAt, settingsOf } from "./settings.js";
import { stackedBars } from "./stacked_bars.js";

/** The picture of a README: training step and inference of every method at the first K, by what the phases do. */
export function profileHeadline({ records }: Pick<ProfileRun, "records">, title?: string): Chart | null {
  const [setting] = settingsOf(records);
  const [K] = setting?.Ks ?? [];
  if (setting === undefined || K === undefined) return null;
  const bars = recordsAt(setting, K).flatMap((record) =>
    (["trainStep", "inScope"] as const).flatMap((name) => {
      const operation = operationOf(record, name);
      const label = `${record.method}, ${name === "trainStep" ? "training" : "inference"}`;
      return operation === null ? [] : [{ label, parts: partMs(operation) }];
    }),
  );
  return stackedBars(bars, {
    title: title ?? `Training step and inference, K = ${K} · ${setting.title}`,
    note: "Median wall time, split by what the phases do.",
    xTitle: "milliseconds",
    parts: PHASE_PARTS,
  });
}
