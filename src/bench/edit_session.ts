import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { engineSpec } from "../config/editor_spec.js";
import { type Override, withOverrides } from "../config/overrides.js";
import { resolveModel } from "../config/paths.js";
import { givenConfig } from "../config/source.js";
import { editorSchema, type TextConfig, textSchema } from "../config/suite.js";
import { validateConfig } from "../config/validate.js";
import { type EditorSpec, hasMemory, untrainedKinds } from "../editors/registry.js";
import { SeprogError } from "../errors.js";
import type { Edit } from "../evaluation/plain_edits.js";
import type { Generation, MemoryRow } from "../native/addon.js";
import type { EditCodec } from "../tokenizers/edit_codec.js";
import { unpackRows } from "../tokenizers/token_rows.js";
import { bundledEditors, readTrained } from "../training/trained_editors.js";
import { type EditStore, openEditStore } from "./edit_store.js";
import { ContentHashes } from "./identity.js";
import type { EngineChoice } from "./job.js";
import { openSession, type Session } from "./session.js";

/** One question, asked of the unedited and of the edited model. */
export interface SideBySide {
  readonly question: string;
  readonly base: string;
  readonly edited: string;
  /** How many edits the edited model has. */
  readonly edits: number;
  /** Probability that the question is about one of the edits; the edit is used above 0.5. Null where none is computed. */
  readonly gate: number | null;
  /** The edit that the question is closest to, of methods that say. */
  readonly edit: MemoryRow | null;
}

export interface EditSessionOptions {
  /** Folder of a trained editor, or a kind that needs no training; default: the bundled editor. */
  readonly editor?: string | undefined;
  /** Options of an editor that needs no training. */
  readonly editorOptions?: readonly Override[];
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

/** An editor, its base model and edits, ready to be asked and changed. */
export class EditSession implements AsyncDisposable {
  readonly #session: Session;
  readonly #store: EditStore;
  readonly #memoryFile: string | undefined;
  readonly #call: { readonly signal?: AbortSignal };

  private constructor(
    session: Session,
    store: EditStore,
    { memoryFile, keepEdits = true, signal }: EditSessionOptions,
  ) {
    this.#session = session;
    this.#store = store;
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
    const chosen = await chooseEditor(options);
    const session = await openSession({ engine: options.engine, ...chosen, editor: chosen.spec });
    try {
      const { engine, base, codec } = session;
      const call = signal ? { signal } : {};
      const editor = await engine.createEditor(engineSpec(chosen.spec, chosen.seed), base, call);
      if (chosen.directory !== null) await editor.restore(chosen.directory, call);
      const work = { editor, base, codec, hasMemory: hasMemory(chosen.spec) };
      return new EditSession(session, await openEditStore(work, memoryFile, call), options);
    } catch (error) {
      await session[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Adds the edits and saves the memory; resolves to their ids. */
  async add(edits: readonly Edit[]): Promise<readonly number[]> {
    const ids = await this.#store.add(edits);
    await this.#save();
    return ids;
  }

  /** Throws DATA_INVALID when one of them is not there; then none is removed. */
  async remove(ids: readonly number[]): Promise<void> {
    await this.#store.remove(ids);
    await this.#save();
  }

  list(): Promise<readonly MemoryRow[]> {
    return this.#store.list();
  }

  async ask(questions: readonly string[]): Promise<SideBySide[]> {
    const { base, codec } = this.#session;
    const rows = await this.list();
    const edited = await this.#store.edited();
    const source = codec.sources(questions);
    const options = { maxNewTokens: MAX_NEW_TOKENS, ...codec.generation, ...this.#call };
    const before = texts(await base.generate(source, options), codec);
    const generation = await edited.generate(source, { ...options, ...codec.views(questions) });
    const after = texts(generation, codec);
    const logitOf = (index: number) => (rows.length === 0 ? undefined : generation.scope?.logit[index]);
    return questions.map((question, index) => ({
      question,
      base: before[index] ?? "",
      edited: after[index] ?? "",
      edits: rows.length,
      gate: sigmoid(logitOf(index)),
      edit: rows[generation.scope?.selected[index] ?? -1] ?? null,
    }));
  }

  async #save(): Promise<void> {
    if (this.#memoryFile !== undefined) await this.#store.save(this.#memoryFile);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve(this.#session[Symbol.asyncDispose]());
  }
}

function texts({ tokens }: Generation, codec: EditCodec): string[] {
  return unpackRows(tokens).map((ids) => codec.answer(ids));
}

const sigmoid = (logit: number | undefined): number | null =>
  logit === undefined ? null : 1 / (1 + Math.exp(-logit));

/** An editor with what it works on. */
interface ChosenEditor {
  readonly spec: EditorSpec;
  /** Of its weights; null where it has none. */
  readonly directory: string | null;
  readonly modelFolder: string;
  readonly text: TextConfig;
  readonly seed: number;
}

async function chooseEditor({
  editor,
  editorOptions = [],
  model,
}: EditSessionOptions): Promise<ChosenEditor> {
  if (editor !== undefined && untrainedKinds().includes(editor) && !existsSync(editor))
    return untrainedEditor(editor, editorOptions, model);
  const [option] = editorOptions;
  if (option !== undefined)
    throw new SeprogError(
      "CONFIG_INVALID",
      `expected one of ${untrainedKinds().join(", ")} for \`--editor\` with ${option.origin} but received ${editor ?? "none"}; a trained editor has the options it was trained with`,
    );
  const directory = editor === undefined ? bundledEditor() : resolve(editor);
  const trained = await readTrained(directory);
  const modelFolder = resolveModel(model ?? trained.model.name);
  if ((await new ContentHashes().model(modelFolder)) !== trained.model.checksum)
    throw new SeprogError(
      "CHECKPOINT_INVALID",
      `expected the base model that ${directory} was trained on but ${modelFolder} holds other weights; name the right one with --model`,
    );
  const { method, seed, text } = trained;
  return { spec: method.editor, directory, modelFolder, text, seed };
}

function untrainedEditor(
  kind: string,
  options: readonly Override[],
  model: string | undefined,
): ChosenEditor {
  if (model === undefined)
    throw new SeprogError(
      "CONFIG_INVALID",
      `expected a base model for \`--model\` with an editor of kind ${kind} but received none; name a bundled one or a folder`,
    );
  const spec = validateConfig(editorSchema, withOverrides(givenConfig("--editor", { kind }), options));
  return { spec, directory: null, modelFolder: resolveModel(model), text: textSchema.parse({}), seed: 0 };
}

function bundledEditor(): string {
  const [bundled] = bundledEditors();
  if (bundled !== undefined) return bundled;
  throw new SeprogError(
    "CONFIG_INVALID",
    "expected a trained editor for `--editor` but received none, and none is bundled; make one with seprog-native train",
  );
}
