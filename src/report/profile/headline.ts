import type { Chart } from "../charts.js";
import { timeBars } from "./bar_charts.js";
import type { ProfileRun } from "./profile_run.js";
import { ratioChart } from "./ratio_charts.js";
import { settingsOf } from "./settings.js";

/** The picture of a README: costs as multiples of SEPROG's at the first K; without SEPROG where the time goes. */
export function profileHeadline({ records }: Pick<ProfileRun, "records">, title?: string): Chart | null {
  const [setting] = settingsOf(records);
  const [K] = setting?.Ks ?? [];
  if (setting === undefined || K === undefined) return null;
  const chart = ratioChart(setting, K) ?? timeBars(setting, K)[0] ?? null;
  return chart && { ...chart, title: title ?? `${chart.title} · ${setting.title}` };
}
