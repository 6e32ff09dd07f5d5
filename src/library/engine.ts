import { resolveModel } from "../config/paths.js";
import type { BaseDtype } from "../models/base_dtype.js";
import type { EngineOptions } from "../native/addon.js";
import { type Engine as NativeEngine, openEngine as openNativeEngine } from "../native/engine.js";
import { Tokenizer } from "../tokenizers/tokenizer.js";
import { BaseModel } from "./base_model.js";

export interface LoadOptions {
  /** What the large matrices are rounded to; default: fp32. A base of int8 only answers. */
  readonly dtype?: BaseDtype;
  readonly signal?: AbortSignal;
}

/** One device and its thread. Closing it frees everything that was made on it. */
export class Engine implements AsyncDisposable {
  readonly #native: NativeEngine;

  constructor(native: NativeEngine) {
    this.#native = native;
  }

  get device(): string {
    return this.#native.device;
  }

  get threads(): number {
    return this.#native.threads;
  }

  get deterministic(): boolean {
    return this.#native.deterministic;
  }

  /**
   * @param model name of a bundled base model, or a Hugging Face folder (config.json, weights, tokenizer files)
   * @throws SeprogError CONFIG_INVALID if there is none of that name; CHECKPOINT_INVALID, WEIGHT_MISSING,
   * SHAPE_MISMATCH, NON_FINITE, UNSUPPORTED for what is wrong with the folder; UNSUPPORTED for a type that the device does
   * not compute in
   */
  async loadModel(model: string, options: LoadOptions = {}): Promise<BaseModel> {
    const folder = resolveModel(model);
    const tokenizer = await Tokenizer.load(folder);
    const native = await this.#native.loadModel(folder, { ...options, addPadToken: true });
    tokenizer.assertFits(native.info.vocabulary);
    return new BaseModel(this.#native, native, tokenizer);
  }

  /** Waits for the running call; queued ones are rejected with DISPOSED. */
  close(): Promise<void> {
    return this.#native.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/**
 * Starts an engine.
 * @throws SeprogError NATIVE_NOT_FOUND if the addon is not built, NATIVE_INCOMPATIBLE if it does not fit this machine
 */
export async function openEngine(options: EngineOptions = {}): Promise<Engine> {
  return new Engine(await openNativeEngine(options));
}
