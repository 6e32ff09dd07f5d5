import type { CellTask } from "../bench/grid.js";
import type { EngineChoice, ModelChoice } from "../bench/job.js";
import type { HuggingFaceConfig } from "../models/registry.js";
import type { TokensEach } from "./even_lengths.js";
import type { EditingQuality } from "./record.js";

/** A model of a folder with its data set, or one of random weights that is asked random ids. */
export type ProfiledModel =
  | (ModelChoice & { readonly kind: "folder" })
  | {
      readonly kind: "shape";
      readonly name: string;
      readonly config: HuggingFaceConfig;
      readonly tokens: TokensEach;
    };

/** How often what is measured. */
export interface ProfileRepetitions {
  readonly warmUps: number;
  readonly repetitions: number;
}

/** Profiles one method on one model at one K; the record is written at the end, by rename. */
export interface ProfileJob extends ProfileRepetitions {
  readonly kind: "profile";
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
  readonly outFile: string;
}
