import type { NativeFineTuner, PairRows, StepResult } from "./addon.js";
import { type CallOptions, call, type MeasuredCallOptions } from "./call.js";
import type { SaveOptions, StepOptions } from "./editor.js";
import { Handle } from "./handle.js";
import { Model } from "./model.js";

/** Plain training of a whole model. All calls throw SeprogError DISPOSED, or the signal's reason. */
export class FineTuner extends Handle<NativeFineTuner> {
  /** @internal */
  static of(native: NativeFineTuner): FineTuner {
    return new FineTuner(native);
  }

  /** One optimiser step. A failed or aborted one leaves weights and optimiser as they were. @throws as Editor.trainStep */
  trainStep(batch: PairRows, options: StepOptions): Promise<StepResult> {
    return call(options, (native) => this.native.trainStep(batch, native));
  }

  validate(batch: PairRows, options?: MeasuredCallOptions): Promise<StepResult> {
    return call(options, (native) => this.native.validate(batch, native));
  }

  /** The current weights as an immutable model: later steps do not change it. */
  snapshot(options?: CallOptions): Promise<Model> {
    return call(options, async (native) => Model.of(await this.native.snapshot(native)));
  }

  /** @throws SeprogError CHECKPOINT_INVALID when the disk refuses */
  save(directory: string, options?: SaveOptions): Promise<void> {
    return call(options, (native) => this.native.save(directory, native));
  }

  /** @throws SeprogError CHECKPOINT_INVALID; nothing changes then */
  restore(directory: string, options?: SaveOptions): Promise<void> {
    return call(options, (native) => this.native.restore(directory, native));
  }
}
