import type { BaseDtype, EngineOptions, MatmulBackend, MemoryStats, NativeEngine, Spec } from "./addon.js";
import { type CallOptions, call } from "./call.js";
import { Editor } from "./editor.js";
import { FineTuner } from "./fine_tuner.js";
import { loadAddon } from "./load.js";
import { Model } from "./model.js";
import { asSeprogError } from "./translate_error.js";

export type { CallOptions, MeasuredCallOptions } from "./call.js";
export { EditMemory } from "./edit_memory.js";
export type { Edited, MemoryViewOptions, SaveOptions, StepOptions } from "./editor.js";
export type { AnyModel, Divergence, GenerateOptions, SaveModelOptions } from "./model.js";
export { EditedModel } from "./model.js";
export { Editor, FineTuner, Model };

export interface LoadModelOptions extends CallOptions {
  /** Give a model without a pad token one, its embedding the mean of the others. Default false. */
  readonly addPadToken?: boolean;
  /** What the large matrices are rounded to. Default "fp32". */
  readonly dtype?: BaseDtype;
}

export interface SeedOptions extends CallOptions {
  readonly seed: number;
  /** What the large matrices are rounded to. Default "fp32". */
  readonly dtype?: BaseDtype;
}

export interface MemoryStatsOptions extends CallOptions {
  /** Starts the peaks anew, after they were read. */
  readonly resetPeak?: boolean;
}

/**
 * Opens an engine: a thread that makes every libtorch call, on one device. Any number of them may be open.
 *
 * @throws SeprogError NATIVE_NOT_FOUND, NATIVE_INCOMPATIBLE, CONFIG_INVALID, UNSUPPORTED for a device that is not there
 */
export async function openEngine(options: EngineOptions = {}): Promise<Engine> {
  const { Engine: NativeEngine } = loadAddon();
  try {
    return Engine.of(new NativeEngine(options));
  } catch (error) {
    throw asSeprogError(error);
  }
}

export class Engine implements AsyncDisposable {
  readonly #native: NativeEngine;

  private constructor(native: NativeEngine) {
    this.#native = native;
  }

  /** @internal */
  static of(native: NativeEngine): Engine {
    return new Engine(native);
  }

  /** "cpu" or "cuda:N". */
  get device(): string {
    return this.#native.device;
  }

  get threads(): number {
    return this.#native.threads;
  }

  /** Whether it was asked to compute the same bits again. */
  get deterministic(): boolean {
    return this.#native.deterministic;
  }

  get closed(): boolean {
    return this.#native.closed;
  }

  /** How long the engine's thread has run calls, those that have ended; the rest of its life it waited for some. */
  get busyMs(): number {
    return this.#native.busyMs;
  }

  /**
   * Loads a Hugging Face folder: config.json with model.safetensors or pytorch_model.bin, whole or in shards.
   *
   * @throws SeprogError CHECKPOINT_INVALID, WEIGHT_MISSING, SHAPE_MISMATCH, NON_FINITE, UNSUPPORTED, also for a type that
   * the device does not compute in
   */
  loadModel(directory: string, options?: LoadModelOptions): Promise<Model> {
    return call(options, async (native) => Model.of(await this.#native.loadModel(directory, native)));
  }

  /** A model with fresh weights, the same for the same seed. @throws SeprogError CONFIG_INVALID, UNSUPPORTED */
  createModel(config: Spec, options: SeedOptions): Promise<Model> {
    return call(options, async (native) => Model.of(await this.#native.createModel(config, native)));
  }

  /** @throws SeprogError CONFIG_INVALID, UNSUPPORTED for an unknown kind or a base it does not edit */
  createEditor(spec: Spec, base: Model, options?: CallOptions): Promise<Editor> {
    return call(options, async (native) =>
      Editor.of(await this.#native.createEditor(spec, base.native, native)),
    );
  }

  /** Training of a copy of `start`, which stays as it is. @throws SeprogError CONFIG_INVALID */
  createFineTuner(spec: Spec, start: Model, options?: CallOptions): Promise<FineTuner> {
    return call(options, async (native) =>
      FineTuner.of(await this.#native.createFineTuner(spec, start.native, native)),
    );
  }

  /** Which library multiplies matrices on the CPU, chosen when the engine started; last bits of results depend on it. */
  matmulBackend(options?: CallOptions): Promise<MatmulBackend> {
    return call(options, (native) => this.#native.matmulBackend(native));
  }

  /** On the CPU the figures are those of the process: its engines share one allocator. */
  memoryStats(options?: MemoryStatsOptions): Promise<MemoryStats> {
    return call(options, (native) => this.#native.memoryStats(native));
  }

  /** Waits for the running call, rejects queued ones with DISPOSED and frees everything this engine made. */
  close(): Promise<void> {
    return this.#native.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
