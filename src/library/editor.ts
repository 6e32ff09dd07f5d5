import type { Editor as NativeEditor, Model as NativeModel } from "../native/engine.js";
import type { EditCodec } from "../tokenizers/edit_codec.js";
import type { EditWords } from "../tokenizers/edit_text_form.js";
import { answerAll } from "./answers.js";
import { type Edit, editLabel, toEditText } from "./edit.js";
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
    const texts = await this.#withPredictions(edits, options);
    const requests = {
      edits: {
        source: this.#codec.sources(edits.map(({ question }) => question)),
        target: this.#codec.targets(edits.map(({ answer }) => answer)),
      },
      editText: this.#codec.editTexts(texts),
      ...this.#codec.editPrefixes(texts),
      labels: edits.map(editLabel),
    };
    const { model } = await this.#native.edit(requests, onto?.native ?? this.#base, options);
    return new EditedModel(model, this.#codec);
  }

  /** The edits in words, with what the base says to their questions where the editor reads that. */
  async #withPredictions(edits: readonly Edit[], options: Call = {}): Promise<EditWords[]> {
    const words = edits.map(toEditText);
    if (!this.#codec.needsPrediction) return words;
    const questions = edits.map(({ question }) => question);
    const answers = await answerAll(this.#base, this.#codec, questions, options);
    return words.map((edit, i) => ({ ...edit, prediction: answers[i]?.text ?? "" }));
  }

  dispose(): Promise<void> {
    return this.#native.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}
