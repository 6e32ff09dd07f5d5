import type { Figure, SummaryCell } from "../evaluation/records.js";
import { share, signed } from "./number_format.js";
import { bytes, duration } from "./units.js";

/** A column as tables name it. */
export interface ColumnHead {
  readonly title: string;
  /** What the figure is, for people who do not know the abbreviation. */
  readonly help: string;
}

/** One column of the result table. */
export interface Column extends ColumnHead {
  readonly pick: (cell: SummaryCell) => Figure | null;
  readonly format: (value: number) => string;
}

/** What answers «does it work and what does it cost». */
export const HEADLINE_COLUMNS: readonly Column[] = [
  {
    title: "ES",
    help: "Edit success: share of clean rephrases answered with the edited answer; higher is better",
    pick: (cell) => cell.ES,
    format: share,
  },
  {
    title: "DD",
    help: "Drawdown: share of unrelated questions whose answer changed; lower is better",
    pick: (cell) => cell.DD,
    format: share,
  },
  {
    title: "step",
    help: "Wall time of one training step at this K",
    pick: (cell) => cell.train?.stepWallMs ?? null,
    format: duration,
  },
  {
    title: "step peak",
    help: "Highest bytes held by tensors during the training step",
    pick: (cell) => cell.train?.peakBytes ?? null,
    format: bytes,
  },
  {
    title: "infer",
    help: "Wall time of applying the K edits and answering K questions",
    pick: (cell) => cell.inference?.wallMs ?? null,
    format: duration,
  },
  {
    title: "infer peak",
    help: "Highest bytes held by tensors meanwhile",
    pick: (cell) => cell.inference?.peakBytes ?? null,
    format: bytes,
  },
];

/** The other measured figures. */
export const DETAIL_COLUMNS: readonly Column[] = [
  {
    title: "base ES",
    help: "What ES is before any edit: share of in-scope questions that the base answers as requested already",
    pick: (cell) => cell.base.ES,
    format: share,
  },
  {
    title: "base accuracy",
    help: "Share of unrelated questions that the base answers with the gold answer before any edit",
    pick: (cell) => cell.base.accuracy,
    format: share,
  },
  {
    title: "ES gained",
    help: "Edit success on the questions that the base does not answer as requested already",
    pick: (cell) => cell.ESgained,
    format: share,
  },
  {
    title: "ES changed",
    help: "Edit success of the edits that ask for a change, where some ask for what the base says",
    pick: (cell) => cell.ESchanged,
    format: share,
  },
  {
    title: "ES self",
    help: "Edit success on the edit's own wording",
    pick: (cell) => cell.ESself,
    format: share,
  },
  {
    title: "ES noisy",
    help: "Edit success on rephrases with an unrelated sentence in front",
    pick: (cell) => cell.ESnoisy,
    format: share,
  },
  {
    title: "ES forced",
    help: "Edit success under teacher forcing: every target token is the most likely one",
    pick: (cell) => cell.teacherForced.ES,
    format: share,
  },
  {
    title: "leak gap",
    help: "ES forced minus ES: what the right tokens before each, and where the answer ends, give away",
    pick: (cell) => cell.leakGap,
    format: signed,
  },
  {
    title: "DD hard",
    help: "Drawdown on questions close to an edit",
    pick: (cell) => cell.DDhard,
    format: share,
  },
  {
    title: "DD gold",
    help: "Share of unrelated questions answered otherwise than the gold answer; holds the base's own errors",
    pick: (cell) => cell.DDgold,
    format: share,
  },
  {
    title: "gate",
    help: "Accuracy of the scope classifier, also where its decision is not used",
    pick: (cell) => cell.gate?.accuracy ?? null,
    format: share,
  },
  {
    title: "precision",
    help: "Share of gated-on questions that were in scope",
    pick: (cell) => cell.gate?.precision ?? null,
    format: share,
  },
  {
    title: "recall",
    help: "Share of in-scope questions that were gated on",
    pick: (cell) => cell.gate?.recall ?? null,
    format: share,
  },
  {
    title: "answers/s",
    help: "Questions answered a second by the edited model",
    pick: (cell) => cell.inference?.promptsPerSecond ?? null,
    format: (value) => value.toFixed(0),
  },
];
