import type { z } from "zod";
import { editorCodec } from "../config/editor_codec.js";
import { engineSpec } from "../config/editor_spec.js";
import { givenConfig } from "../config/source.js";
import { editorSchema, textSchema } from "../config/suite.js";
import { validateConfig } from "../config/validate.js";
import { isTrained } from "../editors/registry.js";
import { SeprogError } from "../errors.js";
import type { ModelInfo } from "../native/addon.js";
import type { Engine as NativeEngine, Model as NativeModel } from "../native/engine.js";
import { EditCodec } from "../tokenizers/edit_codec.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import { bundledEditors, readTrained } from "../training/trained_editors.js";
import { type Answer, type AskOptions, answerAll } from "./answers.js";
import { Editor } from "./editor.js";

/** Options of an editor as suites have them below `editor`, those with a default left out at will. */
export type EditorOptions = z.input<typeof editorSchema>;

/** An unedited model with its tokenizer. Immutable: edits never change it. */
export class BaseModel implements AsyncDisposable {
  readonly #engine: NativeEngine;
  readonly #native: NativeModel;
  readonly #tokenizer: Tokenizer;
  readonly #codec: EditCodec;

  constructor(engine: NativeEngine, native: NativeModel, tokenizer: Tokenizer) {
    this.#engine = engine;
    this.#native = native;
    this.#tokenizer = tokenizer;
    this.#codec = new EditCodec(tokenizer, native.info);
  }

  get info(): ModelInfo {
    return this.#native.info;
  }

  async ask(question: string, options?: AskOptions): Promise<string> {
    const [answer] = await this.askAll([question], options);
    return answer?.text ?? "";
  }

  askAll(questions: readonly string[], options?: AskOptions): Promise<Answer[]> {
    return answerAll(this.#native, this.#codec, questions, options);
  }

  /**
   * @param folder a trained editor, as `seprog-native train` and `bench` write it; default: the one that comes with the
   * package
   * @throws SeprogError CHECKPOINT_INVALID if there is none or it was trained on another base model
   */
  async loadEditor(
    folder = bundledEditor(),
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<Editor> {
    const { method, seed, text } = await readTrained(folder);
    const codec = await editorCodec(this.#tokenizer, this.info, text, method.editor);
    const native = await this.#engine.createEditor(engineSpec(method.editor, seed), this.#native, options);
    try {
      await native.restore(folder, options);
    } catch (error) {
      await native.dispose();
      throw error;
    }
    return new Editor(native, this.#native, codec);
  }

  /**
   * An editor that needs no training, from its options: `{ kind: "ft", editLearningRate: 1e-3 }`.
   * @throws SeprogError CONFIG_INVALID for unknown options and for kinds that are trained: load those
   */
  async createEditor(
    spec: EditorOptions,
    options: { readonly seed?: number; readonly signal?: AbortSignal } = {},
  ): Promise<Editor> {
    const { seed = 0, ...call } = options;
    const editor = validateConfig(editorSchema, givenConfig("createEditor", spec));
    if (isTrained(editor)) {
      throw new SeprogError(
        "CONFIG_INVALID",
        `expected a kind of editor without a training phase for \`createEditor\` but received "${editor.kind}"; make one with seprog-native train and open it with \`loadEditor\``,
      );
    }
    const codec = await editorCodec(this.#tokenizer, this.info, textSchema.parse({}), editor);
    const native = await this.#engine.createEditor(engineSpec(editor, seed), this.#native, call);
    return new Editor(native, this.#native, codec);
  }

  dispose(): Promise<void> {
    return this.#native.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}

function bundledEditor(): string {
  const [first] = bundledEditors();
  if (first !== undefined) return first;
  throw new SeprogError(
    "CONFIG_INVALID",
    "expected the folder of a trained editor for `loadEditor` but received none, and none is bundled; make one with seprog-native train",
  );
}
