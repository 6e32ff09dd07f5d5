import { type Edit, editLabel, toEditText } from "../evaluation/plain_edits.js";
import type { MemoryRow } from "../native/addon.js";
import type { EditMemory as NativeEditMemory } from "../native/engine.js";
import type { EditCodec } from "../tokenizers/edit_codec.js";

interface Call {
  readonly signal?: AbortSignal;
}

/** Edits that can be added, changed and taken back one by one, without any training. Order does not matter. */
export class Memory implements AsyncDisposable {
  readonly native: NativeEditMemory;
  readonly #codec: EditCodec;

  constructor(native: NativeEditMemory, codec: EditCodec) {
    this.native = native;
    this.#codec = codec;
  }

  /** @returns one id per edit */
  add(edits: readonly Edit[], options?: Call): Promise<readonly number[]> {
    return this.native.add(this.#codec.editTexts(edits.map(toEditText)), edits.map(editLabel), options);
  }

  /** @throws SeprogError DATA_INVALID if there is no edit of that id */
  update(id: number, edit: Edit, options?: Call): Promise<void> {
    return this.native.update(id, this.#codec.editTexts([toEditText(edit)]), editLabel(edit), options);
  }

  /** @throws SeprogError DATA_INVALID if one of them is not there; then none is removed */
  remove(ids: readonly number[], options?: Call): Promise<void> {
    return this.native.delete(ids, options);
  }

  list(options?: Call): Promise<readonly MemoryRow[]> {
    return this.native.list(options);
  }

  size(options?: Call): Promise<number> {
    return this.native.size(options);
  }

  /** Writes a file that `Editor.loadMemory` reads; complete or not at all. */
  save(file: string, options?: Call): Promise<void> {
    return this.native.save(file, options);
  }

  dispose(): Promise<void> {
    return this.native.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}
