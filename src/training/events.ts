/** What the long loops (train, pretrain, evaluate) tell whoever draws progress. */

export type Figures = { readonly [name: string]: number };

export interface ProgressEvent {
  readonly type: "progress";
  readonly phase: "train" | "validate" | "pretrain" | "evaluate" | "measure" | "prepare" | "tune";
  /** Steps done, of `total`. */
  readonly step: number;
  readonly total: number;
  /** Running figures of the phase: loss, learningRate, gradNorm, ES, DD, … */
  readonly figures: Figures;
  readonly elapsedMs: number;
  /** Estimated time left; null until it can be told. */
  readonly etaMs: number | null;
}

/** A validation pass ended. `best` says whether it is the lowest loss so far. */
export interface ValidationEvent {
  readonly type: "validation";
  readonly step: number;
  readonly figures: Figures;
  readonly best: boolean;
  /** Epochs left until early stopping; null when there is none. */
  readonly patienceLeftEpochs: number | null;
}

export interface CheckpointEvent {
  readonly type: "checkpoint";
  readonly step: number;
  readonly directory: string;
}

export interface FinishEvent {
  readonly type: "finish";
  readonly phase: "train" | "pretrain" | "evaluate";
  readonly reason: "completed" | "early-stopped" | "over-budget" | "aborted";
  readonly step: number;
  readonly figures: Figures;
}

export type LoopEvent = ProgressEvent | ValidationEvent | CheckpointEvent | FinishEvent;

/** Called synchronously from the loop: must be quick and must not throw. */
export type OnEvent = (event: LoopEvent) => void;
