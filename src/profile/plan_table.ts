import type { ResultCell, ResultTable } from "../report/content.js";
import { claimTableOf } from "../report/profile/claims.js";
import { bytes } from "../report/units.js";
import type { CellPlan, Plan } from "./plan_record.js";

const text = (value: string): ResultCell => ({ value, interval: null });

/** What every cell would take of the device, and whether it fits. */
export function planTable({ target, cells }: Plan): ResultTable {
  return {
    title: `Planned for ${target.name}: ${bytes(target.memoryBytes)}, of which a process takes ${bytes(target.overheadBytes)} beside tensors`,
    corner: "method",
    columns: [
      { title: "training step", help: "Peak of tensors during one optimiser step, weights included" },
      { title: "inference", help: "Peak of tensors while K edits are applied and K inputs answered" },
      { title: "needs", help: "The higher peak, and what a process takes beside" },
      { title: "fits", help: "Whether that is at most the device's memory" },
      { title: "micro-batch", help: "Rows worked on at once by methods that work in chunks" },
    ],
    rows: cells.map((cell) => ({
      label: labelOf(cell),
      isMean: false,
      cells: [
        text(cell.costs.trainStep ? bytes(cell.costs.trainStep.peakBytes) : "–"),
        text(bytes(Math.max(cell.costs.inScope.peakBytes, cell.costs.outScope.peakBytes))),
        text(bytes(cell.requiredBytes)),
        text(cell.fits ? "yes" : "no"),
        text(microBatchText(cell)),
      ],
    })),
  };
}

/** Peaks where both are known; null where none is. */
export function comparisonTable({ cells }: Plan): ResultTable | null {
  const names = {
    trainStep: "training step",
    inScope: "inference",
    outScope: "inference out of scope",
  } as const;
  const rows = cells.flatMap((cell) =>
    cell.comparisons.map(({ operation, plannedBytes, measuredBytes }) => ({
      label: `${labelOf(cell)}, ${names[operation]}`,
      isMean: false,
      cells: [
        text(bytes(plannedBytes)),
        text(bytes(measuredBytes)),
        text(signedPercent(plannedBytes / measuredBytes - 1)),
      ],
    })),
  );
  if (rows.length === 0) return null;
  return {
    title: "Peaks planned and measured, on the device they were measured on",
    corner: "operation",
    columns: [
      { title: "planned", help: "Peak of tensors that the planner predicts" },
      { title: "measured", help: "Median of the peaks of the profile's repetitions" },
      { title: "difference", help: "Of the plan from the measurement" },
    ],
    rows,
  };
}

/** The paper's claims on memory, held against what is planned: a table a model of which any can be judged. */
export function plannedClaims({ target, cells }: Plan): ResultTable[] {
  return [...new Set(cells.map(({ model }) => model))].flatMap(
    (model) =>
      claimTableOf(
        `${model}, planned for ${target.name}`,
        cells
          .filter((cell) => cell.model === model)
          .map(({ method, variant, K, costs }) => ({
            method,
            variant,
            K,
            samples: ({ operation, of }) =>
              of === "memory" && costs[operation] ? [[costs[operation].peakBytes]] : null,
          })),
      ) ?? [],
  );
}

const labelOf = ({ method, model, K }: CellPlan): string => `${method} ${model} K=${K}`;

function microBatchText({ fits, microBatch: { configured, fitting } }: CellPlan): string {
  if (configured === null) return "–";
  if (fits) return String(configured);
  return fitting === null ? "none fits" : `${fitting} fits, not ${configured}`;
}

const signedPercent = (share: number): string =>
  `${share < 0 ? "−" : "+"}${Math.abs(100 * share).toFixed(1)} %`;
