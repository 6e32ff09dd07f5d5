import type { EditedModel as NativeEditedModel } from "../native/engine.js";
import type { EditCodec } from "../tokenizers/edit_codec.js";
import { type Answer, type AskOptions, answerAll } from "./answers.js";

/** A base model with edits: shares the base's weights and may outlive its handle. */
export class EditedModel implements AsyncDisposable {
  readonly #native: NativeEditedModel;
  readonly #codec: EditCodec;

  constructor(native: NativeEditedModel, codec: EditCodec) {
    this.#native = native;
    this.#codec = codec;
  }

  /** @internal */
  get native(): NativeEditedModel {
    return this.#native;
  }

  async ask(question: string, options?: AskOptions): Promise<string> {
    const [answer] = await this.askAll([question], options);
    return answer?.text ?? "";
  }

  askAll(questions: readonly string[], options?: AskOptions): Promise<Answer[]> {
    return answerAll(this.#native, this.#codec, questions, options);
  }

  dispose(): Promise<void> {
    return this.#native.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}
