import type {
  Answers,
  Generation,
  Measured,
  ModelInfo,
  NativeEditedModel,
  NativeModel,
  NativeScorer,
  PairRows,
  RowViews,
  Sampling,
  TokenRows,
  TokenScores,
} from "./addon.js";
import { type CallOptions, call, type MeasuredCallOptions } from "./call.js";
import { Handle } from "./handle.js";

export interface AnswerOptions extends MeasuredCallOptions {
  /** One value a row, the edit in whose scope it is or −1: read by the oracle variants of an editor alone. */
  readonly goldEdits?: Int32Array;
  /** The rows' inputs as the models of a router read them; others ignore it. */
  readonly views?: RowViews;
  /** Bytes of encoder outputs that may be kept between such calls, and used by them. Default 0: none. */
  readonly encodingBytes?: number;
}

export interface GenerateOptions extends AnswerOptions {
  /** Default 32. */
  readonly maxNewTokens?: number;
  /** Default true; false decodes exactly `maxNewTokens`. */
  readonly stopAtEnd?: boolean;
  /** Draws tokens instead of taking the likeliest. */
  readonly sample?: Sampling;
}

export interface SaveModelOptions extends CallOptions {
  /** Default "fp32". */
  readonly dtype?: "fp32" | "fp16" | "bf16";
}

/** Token-mean is left to the caller: `kl` has one value per target token, [N] in row order. */
export interface Divergence extends Measured {
  readonly kl: Float32Array;
}

/**
 * Anything that answers: a base model or an edited one. Immutable from outside.
 * Every method throws SeprogError DISPOSED, DATA_INVALID (ids outside the vocabulary, rows that do not fit together, gold
 * edits that are needed and missing), OUT_OF_MEMORY, or the signal's reason.
 */
abstract class Scorer<Native extends NativeScorer> extends Handle<Native> {
  /** Teacher-forced scores of the target tokens. */
  score(batch: PairRows, options?: AnswerOptions): Promise<TokenScores> {
    return call(options, (native) => this.native.score(batch, native));
  }

  /** KL(p_this ‖ p_other) per target token: call it on the reference model (metrics.md §6). */
  compare(other: AnyModel, batch: PairRows, options?: AnswerOptions): Promise<Divergence> {
    return call(options, (native) => this.native.compare(other.native, batch, native));
  }

  /** Greedy decoding, or sampling; every row stops at its own stop token. */
  generate(source: TokenRows, options?: GenerateOptions): Promise<Generation> {
    return call(options, (native) => this.native.generate(source, native));
  }

  /** What `generate` and `score` say to the same rows, to the same bits, from one encoding. */
  answer(batch: PairRows, options?: GenerateOptions): Promise<Answers> {
    return call(options, (native) => this.native.answer(batch, native));
  }
}

export class Model extends Scorer<NativeModel> {
  /** @internal */
  static of(native: NativeModel): Model {
    return new Model(native);
  }

  get info(): ModelInfo {
    return this.native.info;
  }

  /**
   * Writes config.json and model.safetensors, each by a temporary name, into an existing folder.
   *
   * @throws SeprogError CHECKPOINT_INVALID when the disk refuses; nothing half-written is left then
   */
  save(directory: string, options?: SaveModelOptions): Promise<void> {
    return call(options, (native) => this.native.save(directory, native));
  }
}

/** A view over a base model: cheap, shares its weights. */
export class EditedModel extends Scorer<NativeEditedModel> {
  /** @internal */
  static of(native: NativeEditedModel): EditedModel {
    return new EditedModel(native);
  }
}

export type AnyModel = Model | EditedModel;
