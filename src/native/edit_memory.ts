import type { MemoryRow, NativeEditMemory, TokenRows } from "./addon.js";
import { type CallOptions, call } from "./call.js";
import { Handle } from "./handle.js";

/**
 * Edits as rows: adding or deleting an edit is adding or deleting a row (seprog.md §6).
 * A model made from it by Editor.withMemory sees every change at its next call.
 */
export class EditMemory extends Handle<NativeEditMemory> {
  /** @internal */
  static of(native: NativeEditMemory): EditMemory {
    return new EditMemory(native);
  }

  /** Embeds the texts with the editor's encoder and appends a row for each; resolves to their ids. */
  add(editText: TokenRows, labels: readonly string[], options?: CallOptions): Promise<readonly number[]> {
    return call(options, (native) => this.native.add(editText, labels, native));
  }

  /** @throws SeprogError DATA_INVALID for an id that is not there; nothing changes then */
  update(id: number, editText: TokenRows, label: string, options?: CallOptions): Promise<void> {
    return call(options, (native) => this.native.update(id, editText, label, native));
  }

  /** @throws SeprogError DATA_INVALID for an id that is not there; nothing changes then */
  delete(ids: readonly number[], options?: CallOptions): Promise<void> {
    return call(options, (native) => this.native.delete(ids, native));
  }

  list(options?: CallOptions): Promise<readonly MemoryRow[]> {
    return call(options, (native) => this.native.list(native));
  }

  size(options?: CallOptions): Promise<number> {
    return call(options, (native) => this.native.size(native));
  }

  /** Remembers the present rows; resolves to what rollback takes. */
  snapshot(options?: CallOptions): Promise<number> {
    return call(options, (native) => this.native.snapshot(native));
  }

  /** Back to exactly those rows. Ids given since are not given again. */
  rollback(snapshotId: number, options?: CallOptions): Promise<void> {
    return call(options, (native) => this.native.rollback(snapshotId, native));
  }

  /** One safetensors file, written by a temporary name. @throws SeprogError CHECKPOINT_INVALID when the disk refuses */
  save(path: string, options?: CallOptions): Promise<void> {
    return call(options, (native) => this.native.save(path, native));
  }
}
