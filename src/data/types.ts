/** In an in-scope pair: the expected answer is the label drawn for the edit. */
export const COPY = "COPY";

export interface InScopePair {
  readonly x: string;
  /** `"COPY"` for the label drawn for the edit, else a fixed answer. */
  readonly y: string;
}

export interface OutScopePair {
  readonly x: string;
  /** Accepted gold answers, the canonical one first. */
  readonly y_gold: readonly string[];
  /** Group of the pair's own subject, where it is another than the record's. */
  readonly group?: string | undefined;
}

export type Split = "train" | "validation" | "test";

export const SPLITS: readonly Split[] = ["train", "validation", "test"];

/** One edit candidate in the common form of all data sets (JSON Lines, UTF-8). */
export interface EditRecord {
  readonly id: string;
  /** Disjointness key: records of one group never meet as edit and out-of-scope, nor in two splits. */
  readonly group: string;
  readonly x_e: string;
  /** Admissible edit labels; one is drawn per episode. */
  readonly y_e_options: readonly string[];
  readonly in_scope: readonly InScopePair[];
  /** Rephrases of doubtful quality, scored apart. */
  readonly in_scope_noisy: readonly InScopePair[];
  /** Statements whose answer follows from the edit and background knowledge. */
  readonly entailed: readonly InScopePair[];
  /** Inputs close to the edit that it must not change. */
  readonly hard_out: readonly OutScopePair[];
  /** The record as an ordinary example for other edits. */
  readonly x_loc: string;
  /** Gold answers to `x_loc`, the canonical one first. */
  readonly y_loc: readonly string[];
  readonly base_pred?: string | undefined;
  /** Relation id, where known: labels of the same relation are plausible edit targets. */
  readonly relation?: string | undefined;
  readonly split?: Split | undefined;
}

export interface Dataset {
  readonly name: string;
  readonly splits: Readonly<Record<Split, readonly EditRecord[]>>;
}

export interface EpisodeEdit {
  readonly record: EditRecord;
  readonly x_e: string;
  readonly y_e: string;
}

export type InScopeKind = "rephrase" | "noisy" | "self" | "entailed";

export interface EpisodeInScope {
  readonly x: string;
  readonly y: string;
  /** Position in `Episode.edits` of the edit that x asks for. */
  readonly editIndex: number;
  readonly kind: InScopeKind;
}

export type OutScopeKind = "random" | "hard";

export interface EpisodeOutScope {
  readonly x: string;
  readonly y_gold: readonly string[];
  readonly kind: OutScopeKind;
}

/** K edits applied at once, with what they must and must not change. */
export interface Episode {
  readonly edits: readonly EpisodeEdit[];
  readonly inScope: readonly EpisodeInScope[];
  readonly outScope: readonly EpisodeOutScope[];
}
