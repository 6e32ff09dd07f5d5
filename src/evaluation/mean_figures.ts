import type { Figures } from "../training/events.js";

/** Mean of each figure over those that have it. */
export function meanFigures(all: readonly Figures[]): { [name: string]: number } {
  const names = new Set(all.flatMap((figures) => Object.keys(figures)));
  return Object.fromEntries(
    [...names].map((name) => {
      const values = all.flatMap((figures) => figures[name] ?? []);
      return [name, values.reduce((sum, value) => sum + value, 0) / values.length] as const;
    }),
  );
}
