import type { SeprogError } from "../errors.js";
import type { CellResult, OverBudget } from "../evaluation/records.js";
import type { LoopEvent } from "../training/events.js";
import type { AnsweringChoice, EngineChoice } from "./job.js";

export interface SuiteRunOptions {
  /** `runs/<name>`: all that is written goes below it. */
  readonly folder: string;
  readonly engine: EngineChoice;
  /** Devices that the processes take in turn; default: the engine's alone. */
  readonly devices?: readonly string[];
  /** Processes at once. More than one a device disturbs the timings. */
  readonly jobs: number;
  /** Deletes the run's cells first. */
  readonly fresh: boolean;
  /** Trains anew even where a trained editor of this configuration is known; then every cell is measured anew too. */
  readonly retrain: boolean;
  /** Where trained editors are kept and looked for first; default: `editors` in the run's folder. */
  readonly editorsDirectory?: string;
  /** Measures with this trained editor whatever its configuration, and trains none. */
  readonly editorDirectory?: string;
  /** Most minutes for the steps of one training; the cells of an editor that needs more are reported as such. */
  readonly budgetMinutes?: number;
  /** How questions are put together and what need not be asked; default: nothing is kept for later runs. */
  readonly answering?: AnsweringChoice;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: SuiteEvent) => void;
  /** Program of the jobs' processes; default: the worker of this package. */
  readonly worker?: string;
}

export type SuiteEvent =
  | { readonly type: "job"; readonly label: string; readonly event: LoopEvent }
  | {
      readonly type: "editor";
      readonly label: string;
      readonly reused: boolean;
      readonly folder: string;
      readonly etaMs: number | null;
    }
  | {
      readonly type: "planned";
      readonly methods: number;
      readonly datasets: number;
      readonly Ks: number;
      readonly seeds: number;
      readonly cells: number;
      readonly trainings: number;
    }
  | { readonly type: "skipped"; readonly count: number; readonly total: number }
  | {
      readonly type: "cell";
      readonly result: CellResult;
      readonly done: number;
      readonly total: number;
      /** Until the whole run is done; null while nothing is known of it. */
      readonly etaMs: number | null;
    }
  | {
      readonly type: "over-budget";
      /** Of the editor. */
      readonly label: string;
      readonly cells: readonly OverBudget[];
      readonly etaMs: number | null;
    }
  /** A process died; its work is in the queue again. */
  | { readonly type: "retry"; readonly label: string; readonly error: SeprogError }
  /** Another run in this folder has it, and there is nothing else to do. */
  | { readonly type: "waiting"; readonly label: string }
  | { readonly type: "failed"; readonly label: string; readonly error: SeprogError };
