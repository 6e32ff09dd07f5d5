import type { ProfileRecord } from "../../profile/record.js";
import { type Chart, colorOf, frame, INK } from "../charts.js";
import { type Cost, medianOf, TABLE_3 } from "./cost_columns.js";
import { successOf } from "./edit_costs.js";
import { recordsAt, type Setting } from "./settings.js";

export interface Offer {
  readonly method: string;
  readonly cost: number;
  readonly success: number;
}

/** The offers that no other beats in one figure without losing in the other, cheapest first. */
export function paretoFront(offers: readonly Offer[]): Offer[] {
  const sorted = offers.toSorted((a, b) => a.cost - b.cost || b.success - a.success);
  const front: Offer[] = [];
  for (const offer of sorted) if (offer.success > (front.at(-1)?.success ?? -1)) front.push(offer);
  return front;
}

/** Edit success against the seconds and the GiB of training and of inference, with what no other method beats. */
export function frontCharts(setting: Setting, K: number): Chart[] {
  const records = recordsAt(setting, K);
  return TABLE_3.flatMap((cost) => {
    const offers = records.flatMap((record) => offerOf(record, cost) ?? []);
    return offers.length === 0 ? [] : [frontChart(setting, K, cost, offers)];
  });
}

function offerOf(record: ProfileRecord, cost: Cost): Offer | null {
  const [success, median] = [successOf(record), medianOf(record, cost)];
  if (success === null || median === null || median.value <= 0) return null;
  return { method: record.method, cost: median.value / (cost.of === "time" ? 1000 : 2 ** 30), success };
}

function frontChart(setting: Setting, K: number, cost: Cost, offers: readonly Offer[]): Chart {
  const front = paretoFront(offers);
  const costs = offers.map((offer) => offer.cost);
  const domain = [Math.min(...costs) / 1.3, Math.max(...costs) * 1.3];
  const unit = cost.of === "time" ? "seconds" : "GiB";
  const x = {
    field: "cost",
    type: "quantitative" as const,
    title: `${cost.title}, ${unit}`,
    scale: { type: "log" as const, domain, nice: false },
    axis: { tickCount: 5, format: "~g", labelOverlap: true },
  };
  const y = {
    field: "success",
    type: "quantitative" as const,
    title: "ES",
    scale: { domain: [0, 1] },
    axis: { tickCount: 5 },
  };
  // The front goes on to the right: whoever pays more can still have the best.
  const best = front.at(-1);
  const line = best === undefined ? front : [...front, { ...best, cost: domain[1] ?? best.cost }];
  const names = setting.methods;
  const shown = names.filter((name) => offers.some(({ method }) => method === name));
  return {
    title: `Edit success against ${cost.title}, K = ${K}`,
    note: `${setting.title}. Up and left is better; the line joins what no other method beats, hollow points are beaten.`,
    legend: shown.map((label) => ({ label, color: colorOf(names.indexOf(label)) })),
    spec: {
      ...frame(),
      width: 330,
      height: 220,
      layer: [
        {
          data: { values: line },
          mark: {
            type: "line" as const,
            interpolate: "step-after" as const,
            color: INK,
            strokeWidth: 1,
            opacity: 0.6,
          },
          encoding: { x, y },
        },
        {
          data: { values: offers.map((offer) => ({ ...offer, isFront: front.includes(offer) })) },
          mark: { type: "point" as const, size: 70, strokeWidth: 2, opacity: 1 },
          encoding: {
            x,
            y,
            stroke: methodColor(names),
            fill: methodColor(names),
            fillOpacity: { condition: { test: "datum.isFront", value: 1 }, value: 0 },
          },
        },
      ],
    },
  };
}

const methodColor = (names: readonly string[]) => ({
  field: "method",
  type: "nominal" as const,
  scale: { domain: [...names], range: names.map((_, index) => colorOf(index)) },
  legend: null,
});
