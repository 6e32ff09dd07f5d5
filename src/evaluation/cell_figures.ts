import { SeprogError } from "../errors.js";
import type { BootstrapOptions, Estimate } from "../metrics/bootstrap.js";
import { changes } from "../metrics/drawdown.js";
import { successes } from "../metrics/edit_success.js";
import { meansOfEpisodes } from "../metrics/ratio.js";
import { computeMetrics } from "../metrics/registry.js";
import { retentionCurve } from "../metrics/retention.js";
import type { CellDetail, CellResult, EditRecordLine, SummaryCell } from "./records.js";

/** What stands in the cell's first columns. */
export type CellName = Pick<
  SummaryCell,
  "method" | "variant" | "sweep" | "schedule" | "dataset" | "model" | "K" | "seed" | "configHash"
>;

/** All of a cell that follows from its record lines. */
export interface CellFigures {
  readonly cell: Omit<SummaryCell, "train" | "inference">;
  readonly detail: CellDetail;
  readonly perEpisode: Pick<CellResult["perEpisode"], "ES" | "DD">;
  readonly retention: CellResult["retention"];
}

/** @param lines of at least one edit; what is not known of every question is null in the figures over it */
export function cellFigures(
  name: CellName & Pick<SummaryCell, "origin">,
  lines: readonly EditRecordLine[],
  bootstrap: BootstrapOptions,
): CellFigures {
  const figures = computeMetrics(lines, bootstrap);
  const { gateAccuracy, gateRecall } = figures;
  return {
    cell: {
      ...name,
      nEdits: lines.length,
      ES: measured(figures.ES),
      ESself: measured(figures.ESself),
      ESall: measured(figures.ESall),
      ESnoisy: figures.ESnoisy,
      ESchanged: figures.ESchanged,
      ESgained: figures.ESgained,
      DD: figures.DD,
      DDgold: figures.DDgold,
      DDhard: figures.DDhard,
      base: { accuracy: figures.baseAccuracy, ES: figures.ESbase },
      gate:
        gateAccuracy && gateRecall
          ? { accuracy: gateAccuracy, precision: figures.gatePrecision, recall: gateRecall }
          : null,
      teacherForced: { ES: figures.ESteacherForced, DD: figures.DDteacherForced },
      leakGap: figures.leakGap,
    },
    detail: {
      ESstrict: measured(figures.ESstrict),
      DDstrict: figures.DDstrict,
      errBase: figures.errBase,
      gateAuc: figures.gateAuc,
      selectionAccuracy: figures.selectionAccuracy,
      gateOnHard: figures.gateOnHard,
      gateOnRandom: figures.gateOnRandom,
      klOut: figures.klOut,
      nllIn: figures.nllIn,
    },
    perEpisode: { ES: meansOfEpisodes(lines, successes), DD: meansOfEpisodes(lines, changes) },
    retention: retentionCurve(lines, bootstrap),
  };
}

/** A figure that has something to be measured on: every edit has a question of its own. */
export function measured(estimate: Estimate | null): Estimate {
  if (estimate === null)
    throw new SeprogError("INTERNAL", "expected an edit or a sample to measure but received none");
  return estimate;
}
