/**
 * What the native addon exports, exactly. A seam test compares the addon's real exports with this file.
 * Tensors never cross: token ids go in as typed arrays, numbers and typed arrays come back.
 *
 * B rows, N real tokens. Every method that returns a promise runs on the engine thread and rejects with an Error whose
 * `code` is one of the stable codes in src/errors.ts. Classes cannot be constructed from JS except Engine and CancelToken.
 */

/** B ragged rows: `ids` is their concatenation, `lengths[b]` the number of ids of row b. */
export interface TokenRows {
  readonly ids: Int32Array;
  readonly lengths: Int32Array;
  /** Token types (0 or 1) of sentence pairs, one an id; without them all are 0. */
  readonly types?: Int32Array;
}

/** The same number of rows on both sides. Targets end with the family's stop token. */
export interface PairRows {
  readonly source: TokenRows;
  readonly target: TokenRows;
}

/**
 * The inputs of rows as models beside the base read them, one row a row, in the ids of their own tokenizers. Absent:
 * such a model reads the base's ids.
 */
export interface RowViews {
  readonly classifier?: TokenRows;
  /** As the input stands behind an edit's prefix. */
  readonly counterfactual?: TokenRows;
}

/**
 * n episodes of K edits each, packed episode after episode: every group has n·K rows; in-scope row i belongs to edit i.
 * `editText` is tokenised for the editor's own encoder.
 * `editPrefix` is what a counterfactual model reads before an input; needed, like the views, by editors that have one.
 *
 * `regroupings` are further numbers of episodes the same rows may be seen as, in the same order: several K from one
 * encoding. No out-of-scope row may then belong to the group of any edit it may meet.
 */
export interface EpisodeBatch {
  readonly episodes: number;
  readonly regroupings?: Int32Array;
  readonly edits: PairRows;
  readonly editText: TokenRows;
  readonly inScope: PairRows;
  readonly outScope: PairRows;
  readonly editPrefix?: TokenRows;
  readonly inScopeViews?: RowViews;
  readonly outScopeViews?: RowViews;
}

/** Edits to apply; `labels` are what people see in a listing. */
export interface EditRequests {
  readonly edits: PairRows;
  readonly editText: TokenRows;
  readonly labels: readonly string[];
  /** For editors with a counterfactual model. */
  readonly editPrefix?: TokenRows;
  /** Questions no edit is about, any number, for editors that keep the answers to some at edit time. */
  readonly outScope?: PairRows;
}

/** Floating-point operations of matrix products, two for every multiply-add. */
export interface FlopCounts {
  readonly forward: number;
  readonly backward: number;
  /** Backward through a graph that a backward pass has recorded. */
  readonly secondOrder: number;
}

/**
 * One phase of a measured call. Device times are null where the device has no clock of its own (CPU). «self» leaves out
 * the phases inside: over all phases and the total, self times and FLOPs add up to the total.
 */
export interface PhaseRecord {
  readonly name: string;
  readonly calls: number;
  readonly wallNs: number;
  readonly selfWallNs: number;
  readonly deviceNs: number | null;
  readonly selfDeviceNs: number | null;
  /** Of the phase itself; null unless detail was asked for. */
  readonly flops: FlopCounts | null;
  /** Allocated bytes at the peak by what they are for; null where the device's allocator does not tell. */
  readonly rolesAtPeak: Readonly<Record<string, number>> | null;
  readonly baselineBytes: number;
  readonly peakBytes: number;
  readonly peakReservedBytes: number;
}

/** `total` spans the whole job on the engine thread; `queuedNs` is the wait before it. */
export interface Measurement {
  readonly total: PhaseRecord;
  readonly queuedNs: number;
  readonly phases: readonly PhaseRecord[];
  /** Where detail was asked for. */
  readonly detail?: MeasurementDetail;
}

/** Columns, in nanoseconds from the start of the job. */
export interface MeasurementDetail {
  /** Index into `phases`, one a run of a phase, in the order of their ends. */
  readonly spanPhase: Float64Array;
  readonly spanBeginNs: Float64Array;
  readonly spanEndNs: Float64Array;
  /** Allocated bytes over time. */
  readonly sampleNs: Float64Array;
  readonly sampleBytes: Float64Array;
}

export interface Measured {
  readonly measurement?: Measurement;
}

export interface NativeCancelToken {
  cancel(): void;
  readonly cancelled: boolean;
}

export interface CallOptions {
  readonly cancel?: NativeCancelToken;
  /** Clocks and peaks; "detail" also counts FLOPs and records when what ran, which takes time itself. */
  readonly measure?: boolean | "detail";
}

/** Options of a call that answers rows. */
export interface AnswerOptions extends CallOptions {
  /**
   * What the oracle variants of an editor read, one value a row: the edit in whose scope the row is, counted in the order
   * of the edits, or −1. Others ignore it. DATA_INVALID when it is needed and missing, or of another length.
   */
  readonly goldEdits?: Int32Array;
  /** Inputs as the models of a router read them. DATA_INVALID when there is not one row a row. */
  readonly views?: RowViews;
  /**
   * Bytes of the base's encoder outputs that may be kept between calls that say so, and used by them: last bits then
   * rest on the calls before. Default 0: nothing is kept or used, as where costs are measured.
   */
  readonly encodingBytes?: number;
}

/** A spec object as the core's option reader decodes it; unknown keys are CONFIG_INVALID. */
export type Spec = { readonly [key: string]: SpecValue };
export type SpecValue = null | boolean | number | string | readonly SpecValue[] | Spec;

/**
 * Scope decision per row: `logit` > 0 means in scope; `selected` is the arg-max edit row (−1: empty memory, or an editor
 * without attention). Absent for models without a scope classifier.
 */
export interface ScopeDecision {
  readonly logit: Float32Array;
  readonly selected: Int32Array;
}

export interface TokenScores extends Measured {
  /** ln p(y_t | y_<t, x) per target token, [N] in row order. */
  readonly logProb: Float32Array;
  readonly argmax: Int32Array;
  /** −Σ_t ln p per row, [B]. */
  readonly rowLoss: Float32Array;
  readonly scope?: ScopeDecision;
}

export interface Generation extends Measured {
  /** New tokens, the stop token included where it was reached. */
  readonly tokens: TokenRows;
  readonly scope?: ScopeDecision;
}

/** What both protocols say to the same rows, from one encoding; `scope` is the one decision that both rest on. */
export interface Answers extends Generation, TokenScores {}

export interface GenerateOptions extends AnswerOptions {
  /** Default 32. */
  readonly maxNewTokens?: number;
  /** Default true. */
  readonly stopAtEnd?: boolean;
  readonly sample?: Sampling;
}

/**
 * Tokens drawn from softmax(logits / temperature) instead of the arg-max. A row's draws depend on the seed and its own ids
 * alone, not on the rows beside it: equal sources get equal answers.
 */
export interface Sampling {
  /** A whole number of 0 or more. */
  readonly seed: number;
  /** Above 0; default 1. */
  readonly temperature?: number;
}

/**
 * Named figures of a step: `loss`, `gradNorm` and what the trainable adds (`scopeLoss`, `promptLoss`, …); of an edit: what
 * fitting weights to it took (`steps`, `editLoss`, …), none where nothing is fitted.
 */
export interface StepResult extends Measured {
  readonly figures: { readonly [name: string]: number };
}

export interface NativeScorer {
  score(batch: PairRows, options?: AnswerOptions): Promise<TokenScores>;
  /** KL(p_this ‖ p_other) per target token, [N]: call it on the reference model. */
  compare(
    other: NativeScorer,
    batch: PairRows,
    options?: AnswerOptions,
  ): Promise<{ readonly kl: Float32Array } & Measured>;
  generate(source: TokenRows, options?: GenerateOptions): Promise<Generation>;
  /** `generate` and `score` of the same rows, to the same bits. */
  answer(batch: PairRows, options?: GenerateOptions): Promise<Answers>;
  dispose(): Promise<void>;
  readonly disposed: boolean;
}

/**
 * The type in which a base keeps its large matrices; everything between them is fp32. A base of int8 only answers: no
 * gradient goes through it. UNSUPPORTED where the device does not compute in it: docs/precision.md.
 */
export type BaseDtype = "fp32" | "fp16" | "bf16" | "int8";

export interface ModelInfo {
  readonly family: string;
  readonly parameterCount: number;
  /** Over the weights before they were rounded; a rounded model's ends with its `dtype`. */
  readonly checksum: string;
  readonly dtype: BaseDtype;
  readonly vocabulary: number;
  /** Ids a target may hold: the vocabulary, or the number of classes. */
  readonly targetVocabulary: number;
  /** A decoder's own text with a stop token, further tokens of the source, or one class id. */
  readonly answers: "text" | "continuation" | "label";
  readonly padId: number;
  readonly startId: number;
  readonly stopId: number;
}

export interface NativeModel extends NativeScorer {
  readonly info: ModelInfo;
  save(
    directory: string,
    options?: CallOptions & { readonly dtype?: "fp32" | "fp16" | "bf16" },
  ): Promise<void>;
}

export type NativeEditedModel = NativeScorer;

export interface SaveOptions extends CallOptions {
  /** Also the optimiser's state, for exact resume. Default false. */
  readonly optimizer?: boolean;
}

export interface NativeEditor {
  readonly kind: string;
  /** A start that depends on data, before the first step; UNSUPPORTED for editors without one. */
  calibrate(sample: EpisodeBatch, options?: CallOptions): Promise<StepResult>;
  /** `rateFactor`: what the schedule makes of a full rate at this step (default 1); rates of the spec follow it. */
  trainStep(
    batch: EpisodeBatch,
    options: CallOptions & { readonly learningRate: number; readonly rateFactor?: number },
  ): Promise<StepResult>;
  validate(batch: EpisodeBatch, options?: CallOptions): Promise<StepResult>;
  save(directory: string, options?: SaveOptions): Promise<void>;
  restore(directory: string, options?: SaveOptions): Promise<void>;
  /** 16 hex digits over the trained weights. */
  fingerprint(options?: CallOptions): Promise<string>;
  edit(
    requests: EditRequests,
    onto: NativeModel | NativeEditedModel,
    options?: CallOptions,
  ): Promise<{ readonly model: NativeEditedModel } & StepResult>;
  /** UNSUPPORTED for editors without a memory. */
  createMemory(options?: CallOptions): Promise<NativeEditMemory>;
  loadMemory(path: string, options?: CallOptions): Promise<NativeEditMemory>;
  /** A live view over the memory: later changes are seen by the next call. */
  withMemory(
    memory: NativeEditMemory,
    options?: CallOptions & { readonly gate?: "scope" | "always" },
  ): Promise<NativeEditedModel>;
  dispose(): Promise<void>;
  readonly disposed: boolean;
}

export interface NativeFineTuner {
  trainStep(batch: PairRows, options: CallOptions & { readonly learningRate: number }): Promise<StepResult>;
  validate(batch: PairRows, options?: CallOptions): Promise<StepResult>;
  /** The current weights as an immutable model. */
  snapshot(options?: CallOptions): Promise<NativeModel>;
  save(directory: string, options?: SaveOptions): Promise<void>;
  restore(directory: string, options?: SaveOptions): Promise<void>;
  dispose(): Promise<void>;
  readonly disposed: boolean;
}

export interface MemoryRow {
  readonly id: number;
  readonly label: string;
}

export interface NativeEditMemory {
  /** Embeds the texts with the editor's encoder and appends rows; resolves to their ids. */
  add(editText: TokenRows, labels: readonly string[], options?: CallOptions): Promise<readonly number[]>;
  update(id: number, editText: TokenRows, label: string, options?: CallOptions): Promise<void>;
  delete(ids: readonly number[], options?: CallOptions): Promise<void>;
  list(options?: CallOptions): Promise<readonly MemoryRow[]>;
  size(options?: CallOptions): Promise<number>;
  snapshot(options?: CallOptions): Promise<number>;
  rollback(snapshotId: number, options?: CallOptions): Promise<void>;
  save(path: string, options?: CallOptions): Promise<void>;
  dispose(): Promise<void>;
  readonly disposed: boolean;
}

export interface MemoryStats {
  /** Bytes held by live tensors on the device. */
  readonly allocatedBytes: number;
  /** Highest since the last reset. */
  readonly peakBytes: number;
  /** Allocated plus cached by the allocator. */
  readonly reservedBytes: number;
  /** The process's resident high-water mark (VmHWM). */
  readonly processPeakBytes: number;
}

export interface EngineOptions {
  /** "cpu" (default) or "cuda:N"; "plan:cpu" or "plan:cuda", also with ":out-of-scope": docs/planning.md. */
  readonly device?: string;
  /** Compute threads of the engine thread. Default: SLURM_CPUS_PER_TASK, else the cores this process may run on. */
  readonly threads?: number;
  /**
   * Computes the same bits again on the same machine with as many threads. For the whole process and for good: to be
   * asked for by its first engine, else UNSUPPORTED where an earlier one chose its matrix library by speed. Default false.
   */
  readonly deterministic?: boolean;
}

/** Which library multiplies fp32 matrices on the CPU: "default" is libtorch's own choice. Last bits depend on it. */
export interface MatmulBackend {
  readonly name: string;
  readonly reason: string;
}

export interface NativeEngine {
  readonly device: string;
  readonly threads: number;
  readonly deterministic: boolean;
  /** `addPadToken`: give a model without a pad token one, its embedding the mean of the others. `dtype`: default fp32. */
  loadModel(
    directory: string,
    options?: CallOptions & { readonly addPadToken?: boolean; readonly dtype?: BaseDtype },
  ): Promise<NativeModel>;
  createModel(
    config: Spec,
    options: CallOptions & { readonly seed: number; readonly dtype?: BaseDtype },
  ): Promise<NativeModel>;
  createEditor(spec: Spec, base: NativeModel, options?: CallOptions): Promise<NativeEditor>;
  createFineTuner(spec: Spec, start: NativeModel, options?: CallOptions): Promise<NativeFineTuner>;
  matmulBackend(options?: CallOptions): Promise<MatmulBackend>;
  memoryStats(options?: CallOptions & { readonly resetPeak?: boolean }): Promise<MemoryStats>;
  /** Waits for the running job, rejects queued ones with DISPOSED, releases everything this engine made. */
  close(): Promise<void>;
  readonly closed: boolean;
  readonly busyMs: number;
}

export interface BuildInfo {
  readonly version: string;
  /** libtorch's version the addon was compiled against and the one that is loaded. */
  readonly libtorchCompiled: string;
  readonly libtorchLoaded: string;
  readonly compiler: string;
  readonly blas: string;
  readonly cpuCapability: string;
}

export interface DeviceInfo {
  readonly name: string;
  readonly description: string;
  /** "8.0" for an A100; null on the CPU. */
  readonly computeCapability: string | null;
  readonly totalBytes: number;
  /** Why the loaded libtorch cannot use it and what to do; null where it can. */
  readonly problem: string | null;
}

/** How the ops compute: last bits depend on it. */
export interface KernelInfo {
  /** "fused": this package's kernels; "reference": libtorch's own ops, which define them (SEPROG_KERNELS). */
  readonly policy: string;
  /** What compiles kernels for the GPU, or why nothing does; null without a GPU. */
  readonly gpuCompiler: string | null;
}

export interface NativeAddon {
  readonly Engine: new (options?: EngineOptions) => NativeEngine;
  readonly CancelToken: new () => NativeCancelToken;
  buildInfo(): BuildInfo;
  listDevices(): readonly DeviceInfo[];
  /** What the GPU has taken since its driver was loaded; null for the CPU and for GPUs that do not count. */
  deviceEnergyMillijoules(device: string): number | null;
  /** @throws SeprogError CONFIG_INVALID for a word in SEPROG_KERNELS that is no policy. */
  kernels(): KernelInfo;
  /** A small matrix product and its gradient against known values; false means this build computes wrongly. */
  selfTest(): boolean;
  /** Stops every engine of this environment; called on process exit. */
  shutdown(): void;
}
