import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { engineSpec } from "../config/editor_spec.js";
import { resolveModel } from "../config/paths.js";
import { SeprogError } from "../errors.js";
import type { Generation, MemoryRow } from "../native/addon.js";
import type { EditMemory, Editor } from "../native/engine.js";
import type { EditCodec } from "../tokenizers/edit_codec.js";
import { unpackRows } from "../tokenizers/token_rows.js";
import { bundledEditors, readTrained } from "../training/trained_editors.js";
import { ContentHashes } from "./identity.js";
import type { EngineChoice } from "./job.js";
import { openSession, type Session } from "./session.js";

export interface Edit {
  readonly question: string;
  readonly answer: string;
}

/** One question, asked of the unedited and of the edited model. */
export interface SideBySide {
  readonly question: string;
  readonly base: string;
  readonly edited: string;
  /** Probability that the question is about one of the edits; the edit is used above 0.5. Null without edits. */
  readonly gate: number | null;
  /** The edit that the question is closest to. */
  readonly edit: MemoryRow | null;
}

export interface EditSessionOptions {
  /** Folder of a trained editor; default: the bundled one. */
  readonly editorDirectory?: string | undefined;
  /** The base model's folder, where it is not found under the name the editor was trained with. */
  readonly model?: string | undefined;
  /** File of edits; edits are kept in memory only without one. */
  readonly memoryFile?: string | undefined;
  /** Whether changes are written to the file; default true. */
  readonly keepEdits?: boolean;
  /** Whether the file must be there already. */
  readonly memoryMustExist: boolean;
  readonly engine: EngineChoice;
  readonly signal?: AbortSignal;
}

const MAX_NEW_TOKENS = 32;

/** A trained editor, its base model and a memory of edits, ready to be asked and changed. */
export class EditSession implements AsyncDisposable {
  readonly #session: Session;
  readonly #editor: Editor;
  readonly #memory: EditMemory;
  readonly #memoryFile: string | undefined;
  readonly #call: { readonly signal?: AbortSignal };

  private constructor(
    session: Session,
    editor: Editor,
    memory: EditMemory,
    { memoryFile, keepEdits = true, signal }: EditSessionOptions,
  ) {
    this.#session = session;
    this.#editor = editor;
    this.#memory = memory;
    this.#memoryFile = keepEdits ? memoryFile : undefined;
    this.#call = signal ? { signal } : {};
  }

  /** Throws CHECKPOINT_INVALID when editor, base model and memory do not belong together. */
  static async open(options: EditSessionOptions): Promise<EditSession> {
    const { memoryFile, signal } = options;
    if (memoryFile !== undefined && options.memoryMustExist && !existsSync(memoryFile)) {
      throw new SeprogError(
        "DATA_INVALID",
        `expected a memory file for \`--memory\` but received ${memoryFile}, which does not exist; make one with seprog-native edit add`,
      );
    }
    const editorDirectory = chooseEditor(options.editorDirectory);
    const trained = await readTrained(editorDirectory);
    const modelFolder = resolveModel(options.model ?? trained.model.name);
    if ((await new ContentHashes().model(modelFolder)) !== trained.model.checksum) {
      throw new SeprogError(
        "CHECKPOINT_INVALID",
        `expected the base model that ${editorDirectory} was trained on but ${modelFolder} holds other weights; name the right one with --model`,
      );
    }
    const { editor: spec } = trained.method;
    const session = await openSession({
      engine: options.engine,
      modelFolder,
      text: trained.text,
      editor: spec,
    });
    try {
      const call = signal ? { signal } : {};
      const editor = await session.engine.createEditor(engineSpec(spec, trained.seed), session.base, call);
      await editor.restore(editorDirectory, call);
      const memory =
        memoryFile !== undefined && existsSync(memoryFile)
          ? await editor.loadMemory(memoryFile, call)
          : await editor.createMemory(call);
      return new EditSession(session, editor, memory, options);
    } catch (error) {
      await session[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Adds the edits and saves the memory; resolves to their ids. */
  async add(edits: readonly Edit[]): Promise<readonly number[]> {
    const texts = edits.map(({ question, answer }) => ({ x_e: question, y_e: answer }));
    const labels = edits.map(({ question, answer }) => `${question} >> ${answer}`);
    const ids = await this.#memory.add(this.#session.codec.editTexts(texts), labels, this.#call);
    await this.#save();
    return ids;
  }

  /** Throws DATA_INVALID when one of them is not there; then none is removed. */
  async remove(ids: readonly number[]): Promise<void> {
    await this.#memory.delete(ids, this.#call);
    await this.#save();
  }

  list(): Promise<readonly MemoryRow[]> {
    return this.#memory.list(this.#call);
  }

  async ask(questions: readonly string[]): Promise<SideBySide[]> {
    const { base, codec } = this.#session;
    const rows = await this.list();
    await using edited = await this.#editor.withMemory(this.#memory, this.#call);
    const source = codec.sources(questions);
    const options = { maxNewTokens: MAX_NEW_TOKENS, ...codec.generation, ...this.#call };
    const before = texts(await base.generate(source, options), codec);
    const generation = await edited.generate(source, options);
    const after = texts(generation, codec);
    return questions.map((question, index) => ({
      question,
      base: before[index] ?? "",
      edited: after[index] ?? "",
      gate: rows.length === 0 ? null : sigmoid(generation.scope?.logit[index] ?? Number.NaN),
      edit: rows[generation.scope?.selected[index] ?? -1] ?? null,
    }));
  }

  async #save(): Promise<void> {
    if (this.#memoryFile === undefined) return;
    await mkdir(dirname(resolve(this.#memoryFile)), { recursive: true });
    await this.#memory.save(this.#memoryFile, this.#call);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve(this.#session[Symbol.asyncDispose]());
  }
}

function texts({ tokens }: Generation, codec: EditCodec): string[] {
  return unpackRows(tokens).map((ids) => codec.answer(ids));
}

const sigmoid = (logit: number): number => 1 / (1 + Math.exp(-logit));

function chooseEditor(directory: string | undefined): string {
  if (directory !== undefined) return resolve(directory);
  const [bundled] = bundledEditors();
  if (bundled !== undefined) return bundled;
  throw new SeprogError(
    "CONFIG_INVALID",
    "expected a trained editor for `--editor` but received none, and none is bundled; make one with seprog-native train",
  );
}
