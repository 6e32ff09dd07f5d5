import type { ErrorCode } from "../errors.js";
import type { BaseDtype } from "../models/base_dtype.js";
import type { LoopEvent } from "../training/events.js";
import type { EditorOrigin } from "../training/trained_editors.js";
import type { EngineFacts } from "./environment.js";
import type { CellTask } from "./grid.js";

export interface EngineChoice {
  readonly device: string;
  readonly threads?: number;
  /** Same bits again on the same machine with as many threads. */
  readonly deterministic?: boolean;
}

/** Tells what the engine is, and that it loads at all. */
export interface ProbeJob {
  readonly kind: "probe";
  readonly engine: EngineChoice;
}

/** How questions are put together, and what need not be asked. No figure depends on it. */
export interface AnsweringChoice {
  /** Bytes that a call may take beyond what is there before it; absent: half of what is free, shared by the processes. */
  readonly memoryBudgetBytes?: number;
  /** Where answers of base models are kept for later runs; null: nowhere. */
  readonly cacheDirectory: string | null;
}

/** Trains one editor into `outDirectory`, which appears complete or not at all. */
export interface TrainJob {
  readonly kind: "train";
  readonly engine: EngineChoice;
  readonly methodName: string;
  readonly origin: EditorOrigin;
  readonly model: ModelChoice;
  readonly outDirectory: string;
  /** Checkpoints of an unfinished training; resumed from. */
  readonly workDirectory: string;
  /** Default: nothing is kept. */
  readonly answering?: AnsweringChoice;
  /** Most time for the steps, over all parts of a resumed training. */
  readonly budgetMinutes?: number;
}

/** Where a training stood when its budget was spent. */
export interface TrainingStop {
  readonly step: number;
  readonly steps: number;
}

export interface ModelChoice {
  /** As the suite names it. */
  readonly name: string;
  readonly folder: string;
  /** Of what the folder holds, and of the type it is rounded to. */
  readonly checksum: string;
  /** Default: fp32. */
  readonly dtype?: BaseDtype;
}

/** Measures one cell into its folder; result.json comes last. */
export interface CellJob {
  readonly kind: "cell";
  /** Default: nothing is kept. */
  readonly answering?: AnsweringChoice;
  /** That share the machine; default: this one alone. */
  readonly processes?: number;
  readonly engine: EngineChoice;
  readonly task: CellTask;
  readonly model: ModelChoice;
  /** Null for methods that learn nothing before they edit. */
  readonly editorDirectory: string | null;
  readonly configHash: string;
  /** The run's episode files: one a data set and K, for all methods. */
  readonly episodesDirectory: string;
  readonly outDirectory: string;
}

export type Job = ProbeJob | TrainJob | CellJob;

/** What a job's process tells its parent. */
export type JobMessage =
  | { readonly type: "event"; readonly event: LoopEvent }
  | { readonly type: "probe"; readonly facts: EngineFacts }
  | { readonly type: "done"; readonly overBudget?: TrainingStop }
  | { readonly type: "failed"; readonly code: ErrorCode; readonly message: string };

/** What a parent tells a job's process. */
export type ParentMessage<AnyJob = Job> =
  | { readonly type: "start"; readonly job: AnyJob }
  | { readonly type: "stop" };
