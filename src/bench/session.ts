import { editorCodec } from "../config/editor_codec.js";
import type { TextConfig } from "../config/suite.js";
import type { EditorSpec } from "../editors/registry.js";
import { type BaseDtype, narrowed } from "../models/base_dtype.js";
import { type Engine, type Model, openEngine } from "../native/engine.js";
import type { EditCodec } from "../tokenizers/edit_codec.js";
import { Tokenizer } from "../tokenizers/tokenizer.js";
import type { EngineChoice } from "./job.js";

/** A base model on an engine, with the text side an editor of it needs. Closing it frees everything it made. */
export interface Session extends AsyncDisposable {
  readonly engine: Engine;
  readonly base: Model;
  readonly codec: EditCodec;
  /** Of the base model. */
  readonly tokenizer: Tokenizer;
}

export interface SessionOptions {
  readonly engine: EngineChoice;
  readonly modelFolder: string;
  /** What the base is rounded to; default: fp32. */
  readonly dtype?: BaseDtype | undefined;
  readonly text: TextConfig;
  /** Decides how edits are written, and for whose tokenizer. */
  readonly editor: EditorSpec;
  /** Texts whose ids the tokenizers keep; default: as `Tokenizer`. */
  readonly cachedTexts?: number | undefined;
}

export async function openSession({
  engine: choice,
  modelFolder,
  dtype = "fp32",
  text,
  editor,
  cachedTexts,
}: SessionOptions): Promise<Session> {
  const tokenizer = await Tokenizer.load(modelFolder, { cachedTexts });
  const engine = await openEngine(choice);
  try {
    const base = await engine.loadModel(modelFolder, { addPadToken: true, ...narrowed(dtype) });
    return {
      engine,
      base,
      codec: await editorCodec(tokenizer, base.info, text, editor),
      tokenizer,
      [Symbol.asyncDispose]: () => engine.close(),
    };
  } catch (error) {
    await engine.close();
    throw error;
  }
}
