import type { ErrorCode } from "../errors.js";
import type { Receipt } from "../evaluation/receipt.js";
import type { Figure } from "../evaluation/records.js";
import type { FlopCounts } from "../native/addon.js";
import type { RowLengths } from "./row_lengths.js";

export type { Receipt };

/** What a profiled operation does; `apply` and `answer` are the halves of inference. */
export type PhaseGroup = "host" | "load" | "edit" | "forward" | "backward" | "update" | "answer" | "rest";

/**
 * One phase of an operation, without the phases inside it. Names are `<call>.<phase>`: `train.prompt_forward`,
 * `apply.edit_encode`, `answer.decode`; `host.*` is time outside the engine, `rest` what no phase claims.
 */
export interface PhaseSamples {
  readonly name: string;
  readonly group: PhaseGroup;
  /** One a repetition, all of them kept. */
  readonly wallMs: readonly number[];
  /** Null where the device has no clock of its own. */
  readonly deviceMs: readonly number[] | null;
  /** Allocated when the phase began, and the highest during it over all repetitions; null for host phases. */
  readonly baselineBytes: number | null;
  readonly peakBytes: number | null;
  readonly peakReservedBytes: number | null;
  readonly flops: FlopCounts | null;
}

/** When what ran, of one repetition; columns, in ms from the start of the operation. */
export interface Timeline {
  /** Index into the operation's phases. */
  readonly spanPhase: readonly number[];
  readonly spanBeginMs: readonly number[];
  readonly spanEndMs: readonly number[];
  readonly sampleMs: readonly number[];
  readonly sampleBytes: readonly number[];
}

/** An operation, repeated. Over the phases, times and FLOPs add up to the whole. */
export interface OperationSamples {
  /** Processes that the samples come from, in order and as many each; every method had its turn between two of them. */
  readonly rounds: number;
  readonly wallMs: readonly number[];
  readonly deviceMs: readonly number[] | null;
  readonly baselineBytes: number;
  readonly peakBytes: readonly number[];
  readonly peakReservedBytes: readonly number[];
  /** The process's resident high-water mark, reset before each repetition; null where the system refuses to reset it. */
  readonly processPeakBytes: readonly number[] | null;
  readonly flops: FlopCounts | null;
  /** Allocated bytes at the operation's peak by role; null where the device's allocator does not tell. */
  readonly memoryMap: Readonly<Record<string, number>> | null;
  readonly energyJ: readonly number[] | null;
  readonly phases: readonly PhaseSamples[];
  readonly timeline: Timeline | null;
}

/** An operation that a method does not have, and why: FT trains nothing before it edits. */
export interface NotApplicable {
  readonly notApplicable: string;
}

/** What is paid once, however many edits follow. */
export interface OneOffCost {
  /** load_model, make_editor, calibrate, train_editor, cache, … */
  readonly name: string;
  readonly wallMs: number;
  readonly peakBytes: number | null;
  /** measured here; of the record of the training; or steps × the median step measured here. */
  readonly source: "measured" | "training record" | "steps × step";
  readonly steps?: number;
}

/** Over the edits of a bench run, with its interval (metrics.md §1–2). */
export interface EditingQuality {
  readonly ES: Figure;
  readonly DD: Figure;
}

/** `profile.json`: what one method costs on one model at one K. */
export interface ProfileRecord {
  readonly schemaVersion: 1;
  readonly kind: "profile";
  readonly method: string;
  readonly variant: string;
  /** Null where ids are random (`--shapes`). */
  readonly dataset: string | null;
  readonly model: string;
  readonly K: number;
  readonly seed: number;
  readonly device: string;
  readonly dtype: string;
  readonly threads: number;
  /** Real tokens of the batch measured. */
  readonly tokens: { readonly edit: number; readonly source: number; readonly target: number };
  readonly parameters: { readonly model: number; readonly editor: number | null };
  /** `untrained`: the method learns nothing before it edits. */
  readonly editor: "trained" | "fresh" | "untrained";
  readonly warmUps: number;
  readonly repetitions: number;
  /** What `energyJ` was read from, or why it was not. */
  readonly energy: { readonly source: string } | { readonly notAvailable: string };
  /** One optimiser step on one episode of K edits (metrics.md §7, a). */
  readonly trainStep: OperationSamples | NotApplicable;
  /** Applying K edits and answering K inputs in one batch (§7, b): their in-scope inputs, and inputs out of scope. */
  readonly inScope: OperationSamples;
  readonly outScope: OperationSamples;
  readonly oneOff: readonly OneOffCost[];
  /** Of the K in-scope inputs answered here; null for a fresh editor. */
  readonly successes: number | null;
  /** Inputs of each batch that the method took as in scope of an edit; null for methods that take every input so. */
  readonly takenInScope: { readonly inScope: number | null; readonly outScope: number | null };
  /** What a bench run found this method's edits to do at this K; null where none was given. */
  readonly quality: EditingQuality | null;
  /** Of the rows that were measured: a plan of the same cell is made from them. */
  readonly rows: RowLengths;
  readonly receipt: Receipt;
}

/** `failure.json`, in place of a record: why a cell could not be profiled. A later run tries it again. */
export interface ProfileFailure {
  readonly schemaVersion: 1;
  readonly kind: "profile-failure";
  readonly method: string;
  readonly dataset: string | null;
  readonly model: string;
  readonly K: number;
  readonly code: ErrorCode;
  readonly message: string;
}
