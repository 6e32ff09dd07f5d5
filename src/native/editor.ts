import type { EditRequests, EpisodeBatch, NativeEditor, StepResult } from "./addon.js";
import { type CallOptions, call, type MeasuredCallOptions } from "./call.js";
import { EditMemory } from "./edit_memory.js";
import { Handle } from "./handle.js";
import { type AnyModel, EditedModel } from "./model.js";

export interface StepOptions extends MeasuredCallOptions {
  readonly learningRate: number;
  /** What the schedule makes of a full rate at this step, default 1: rates that the spec sets apart follow it. */
  readonly rateFactor?: number;
}

export interface SaveOptions extends CallOptions {
  /** Also the optimiser's state, for exact resume. Default false. */
  readonly optimizer?: boolean;
}

export interface MemoryViewOptions extends CallOptions {
  /** "scope" (default): only inputs in scope of an edit are answered by it; "always": every input is. */
  readonly gate?: "scope" | "always";
}

/** `figures`: what fitting weights to the edits took; none where nothing is fitted. */
export interface Edited extends StepResult {
  readonly model: EditedModel;
}

/** An editing method with what it has learned. All calls throw SeprogError DISPOSED, or the signal's reason. */
export class Editor extends Handle<NativeEditor> {
  /** @internal */
  static of(native: NativeEditor): Editor {
    return new Editor(native);
  }

  get kind(): string {
    return this.native.kind;
  }

  /**
   * A start that depends on data: sets fresh parameters from a sample of training rows, before the first step.
   *
   * @throws SeprogError UNSUPPORTED for an editor without such a start or after a step
   */
  calibrate(sample: EpisodeBatch, options?: MeasuredCallOptions): Promise<StepResult> {
    return call(options, (native) => this.native.calibrate(sample, native));
  }

  /**
   * One optimiser step. A failed or aborted one leaves parameters and optimiser as they were.
   *
   * @throws SeprogError NON_FINITE when the loss or a gradient is not finite, DATA_INVALID, OUT_OF_MEMORY
   */
  trainStep(batch: EpisodeBatch, options: StepOptions): Promise<StepResult> {
    return call(options, (native) => this.native.trainStep(batch, native));
  }

  /** The same losses without a step. */
  validate(batch: EpisodeBatch, options?: MeasuredCallOptions): Promise<StepResult> {
    return call(options, (native) => this.native.validate(batch, native));
  }

  /** Into an existing folder, each file by a temporary name. @throws SeprogError CHECKPOINT_INVALID */
  save(directory: string, options?: SaveOptions): Promise<void> {
    return call(options, (native) => this.native.save(directory, native));
  }

  /** @throws SeprogError CHECKPOINT_INVALID for a folder of another kind or size; nothing changes then */
  restore(directory: string, options?: SaveOptions): Promise<void> {
    return call(options, (native) => this.native.restore(directory, native));
  }

  /** 16 hex digits over the trained weights: what ties a saved memory to its editor. */
  fingerprint(options?: CallOptions): Promise<string> {
    return call(options, (native) => this.native.fingerprint(native));
  }

  /** Applies all requests at once, on top of `onto`, which stays as it is. */
  edit(requests: EditRequests, onto: AnyModel, options?: MeasuredCallOptions): Promise<Edited> {
    return call(options, async (native) => {
      const { model, ...rest } = await this.native.edit(requests, onto.native, native);
      return { model: EditedModel.of(model), ...rest };
    });
  }

  /** @throws SeprogError UNSUPPORTED for an editor that keeps no memory */
  createMemory(options?: CallOptions): Promise<EditMemory> {
    return call(options, async (native) => EditMemory.of(await this.native.createMemory(native)));
  }

  /** @throws SeprogError CHECKPOINT_INVALID for a memory of another editor */
  loadMemory(path: string, options?: CallOptions): Promise<EditMemory> {
    return call(options, async (native) => EditMemory.of(await this.native.loadMemory(path, native)));
  }

  /** A live view over the memory: later changes are seen by the next call. */
  withMemory(memory: EditMemory, options?: MemoryViewOptions): Promise<EditedModel> {
    return call(options, async (native) =>
      EditedModel.of(await this.native.withMemory(memory.native, native)),
    );
  }
}
