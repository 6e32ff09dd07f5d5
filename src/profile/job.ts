import type { CellTask } from "../bench/grid.js";
import type { EngineChoice, ModelChoice } from "../bench/job.js";
import type { Spec } from "../native/addon.js";
import type { PlanTarget } from "./devices.js";
import type { TokensEach } from "./even_lengths.js";
import type { EditingQuality, ProfileRecord } from "./record.js";

/** A model of a folder with its data set, or one of random weights that is asked random ids. */
export type ProfiledModel =
  | (ModelChoice & { readonly kind: "folder" })
  | {
      readonly kind: "shape";
      readonly name: string;
      readonly config: Spec;
      readonly tokens: TokensEach;
    };

/** A model of random weights. */
export type ShapedModel = ProfiledModel & { readonly kind: "shape" };

/** How often what is measured. */
export interface ProfileRepetitions {
  /** Discarded at the start of every round. */
  readonly warmUps: number;
  /** In all rounds together. */
  readonly repetitions: number;
  /** Processes that a cell is measured in, all cells once before any a second time. */
  readonly rounds: number;
}

/** Profiles one method on one model at one K for one round; the record is written at the end, by rename. */
export interface ProfileJob {
  readonly kind: "profile";
  readonly warmUps: number;
  /** Of this round. */
  readonly repetitions: number;
  /** Whether one more repetition counts FLOPs and follows memory. */
  readonly detail: boolean;
  readonly engine: EngineChoice;
  readonly task: CellTask;
  readonly model: ProfiledModel;
  /** Null for a fresh editor and for methods that learn nothing before they edit. */
  readonly editorDirectory: string | null;
  /** What a run of the suite found the edits to do. */
  readonly quality: EditingQuality | null;
  readonly configHash: string;
  /** Where the episodes of a data set and K are kept, for all methods. */
  readonly episodesDirectory: string;
  /** Where models beside the base are made that the suite names by a shape. */
  readonly modelsDirectory: string;
  readonly outFile: string;
}

/** Plans one method on one model at one K without any data; the plan is written at the end, by rename. */
export interface PlanJob {
  readonly kind: "plan";
  readonly target: PlanTarget;
  readonly task: CellTask;
  readonly model: ShapedModel;
  /** A profile of the same cell: its rows are planned, and its peaks compared. */
  readonly record: ProfileRecord | null;
  /** Where models beside the base are made that the suite names by a shape. */
  readonly modelsDirectory: string;
  readonly outFile: string;
}
