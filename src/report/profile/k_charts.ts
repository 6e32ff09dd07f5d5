import type { ProfileRecord } from "../../profile/record.js";
import { type Chart, lineChart } from "../charts.js";
import type { Series } from "../series.js";
import { medianOf, TABLE_3 } from "./cost_columns.js";
import type { Setting } from "./settings.js";

/** Each figure of Table 3 against K; none where one K was measured. */
export function kCharts(setting: Setting): Chart[] {
  if (setting.Ks.length < 2) return [];
  const series: Series<ProfileRecord>[] = setting.methods.map((name) => ({
    name,
    cells: setting.records.filter(({ method }) => method === name),
  }));
  return TABLE_3.flatMap((cost) => {
    const isTime = cost.of === "time";
    return (
      lineChart(series, {
        title: `${cost.title[0]?.toUpperCase()}${cost.title.slice(1)} against K`,
        note: `${setting.title}. ${cost.help}.`,
        curves: [{ label: cost.title, pick: (record) => medianOf(record, cost) }],
        yTitle: isTime ? "milliseconds" : "MiB",
        scale: isTime ? 1 : 1 / 2 ** 20,
        logY: true,
      }) ?? []
    );
  });
}
