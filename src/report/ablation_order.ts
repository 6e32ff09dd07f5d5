import type { Grid, GridEstimate } from "./grid.js";
import { interval, share, signed } from "./number_format.js";

/**
 * Whether the paper's order of drawdown holds: without a classifier worst, without the gate second, SEPROG best. Null
 * where one of the three was not measured.
 */
export function drawdownOrder(grid: Grid): string | null {
  const named = ["noclassifier", "noselect", "seprog"].map((variant) =>
    grid.methods.find((method) => method.variant === variant && method.sweep === null),
  );
  const [worst, second, best] = named;
  if (!worst || !second || !best) return null;
  const names = [worst.name, second.name, best.name];
  const on = (datasets: readonly string[]): Order | null => {
    const means = names.map((name) => grid.mean("DD", name, datasets));
    const gaps = [
      grid.difference("DD", worst.name, second.name, datasets),
      grid.difference("DD", second.name, best.name, datasets),
    ];
    return means.includes(null) || gaps.includes(null)
      ? null
      : { means: means.filter((mean) => mean !== null), gaps: gaps.filter((gap) => gap !== null) };
  };
  const measured = grid.datasets.filter((dataset) => on([dataset]) !== null);
  const all = on(measured);
  if (all === null || measured.length === 0) return null;
  const scope = measured.length === 1 ? measured[0] : `the mean of ${measured.length} data sets`;
  const sentences = [
    `The paper's order of drawdown (${names[0]} worst, ${names[1]} second, ${names[2]} best) ${verdict(all)} on ${scope}: DD ${all.means.map(({ value }) => share(value)).join(", ")}; differences ${all.gaps.map((gap) => `${signed(gap.value)} (${interval(gap, signed)})`).join(" and ")}, 95 % intervals over ${all.gaps[0]?.over ?? "episodes"}.`,
  ];
  if (measured.length > 1)
    sentences.push(
      `By data set it ${measured
        .map((dataset) => {
          const order = on([dataset]);
          return order === null
            ? ""
            : `${verdict(order)} on ${dataset} (${order.means.map(({ value }) => share(value)).join(", ")})`;
        })
        .join(", ")}.`,
    );
  return sentences.join(" ");
}

interface Order {
  readonly means: readonly GridEstimate[];
  /** First − second and second − third. */
  readonly gaps: readonly GridEstimate[];
}

function verdict({ gaps }: Order): string {
  if (gaps.some(({ high }) => high < 0)) return "does not hold";
  if (gaps.every(({ low }) => low > 0)) return "holds";
  return gaps.every(({ value }) => value > 0)
    ? "holds in the means but not beyond their intervals"
    : "is undecided";
}
