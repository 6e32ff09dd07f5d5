import { type Edit, plainEditRequests } from "../evaluation/plain_edits.js";
import type { Editor as NativeEditor, Model as NativeModel } from "../native/engine.js";
import type { EditCodec } from "../tokenizers/edit_codec.js";
import { EditedModel } from "./edited_model.js";
import { Memory } from "./memory.js";

interface Call {
  readonly signal?: AbortSignal;
}

/** A trained editor of one base model. */
export class Editor implements AsyncDisposable {
  readonly #native: NativeEditor;
  readonly #base: NativeModel;
  readonly #codec: EditCodec;

  constructor(native: NativeEditor, base: NativeModel, codec: EditCodec) {
    this.#native = native;
    this.#base = base;
    this.#codec = codec;
  }

  get kind(): string {
    return this.#native.kind;
  }

  /** An empty memory of edits. @throws SeprogError UNSUPPORTED for editors without one */
  async createMemory(options?: Call): Promise<Memory> {
    return new Memory(await this.#native.createMemory(options), this.#codec);
  }

  /** @throws SeprogError CHECKPOINT_INVALID if another editor made it or the file is damaged */
  async loadMemory(file: string, options?: Call): Promise<Memory> {
    return new Memory(await this.#native.loadMemory(file, options), this.#codec);
  }

  /**
   * The base model with the edits of a memory: a live view, so later changes of the memory are seen.
   * @param gate "scope": the editor decides for each question whether the edits concern it; "always": they do
   */
  async withMemory(
    memory: Memory,
    options?: Call & { readonly gate?: "scope" | "always" },
  ): Promise<EditedModel> {
    return new EditedModel(await this.#native.withMemory(memory.native, options), this.#codec);
  }

  /**
   * The base model with these edits, once and for all; works for every kind of editor.
   * @param onto a model this editor has edited, which stays as it is; default: the base model
   * @throws SeprogError UNSUPPORTED for a model that another editor has edited
   */
  async apply(
    edits: readonly Edit[],
    { onto, ...options }: Call & { readonly onto?: EditedModel } = {},
  ): Promise<EditedModel> {
    const requests = await plainEditRequests(edits, this.#base, this.#codec, options);
    const { model } = await this.#native.edit(requests, onto?.native ?? this.#base, options);
    return new EditedModel(model, this.#codec);
  }

  dispose(): Promise<void> {
    return this.#native.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}
