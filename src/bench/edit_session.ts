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
import { BatchBudget } from "../evaluation/batch_budget.js";
import { askInBatches } from "../evaluation/batches.js";
import type { Edit } from "../evaluation/plain_edits.js";
import type { BaseDtype } from "../models/base_dtype.js";
import type { MemoryRow } from "../native/addon.js";
import type { EditedModel, Model } from "../native/engine.js";
import { type InputView, viewOptions } from "../tokenizers/router_texts.js";
import { packRows, unpackRows } from "../tokenizers/token_rows.js";
import { bundledEditors, readTrained } from "../training/trained_editors.js";
import { type EditStore, openEditStore } from "./edit_store.js";
import type { EngineChoice } from "./job.js";
import { modelHash } from "./model_hash.js";
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

/** A question as the models read it. */
export interface ReadQuestion {
  readonly question: string;
  readonly source: Int32Array;
  /** For editors with models beside the base. */
  readonly view?: InputView | undefined;
}

/** What one model says to a question. */
interface Said {
  readonly text: string;
  readonly scope?: { readonly logit: number; readonly selected: number };
}

export interface EditSessionOptions {
  /** Folder of a trained editor, or a kind that needs no training; default: the bundled editor. */
  readonly editor?: string | undefined;
  /** Options of an editor that needs no training. */
  readonly editorOptions?: readonly Override[];
  /** The base model's folder, where it is not found under the name the editor was trained with. */
  readonly model?: string | undefined;
  /** What the base is rounded to; default: fp32. */
  readonly baseDtype?: BaseDtype | undefined;
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
/** A long stream's questions seldom come again; its memory is not to grow with them. */
const CACHED_TEXTS = 1024;

/** An editor, its base model and edits, ready to be asked and changed. */
export class EditSession implements AsyncDisposable {
  readonly #session: Session;
  readonly #store: EditStore;
  readonly #memoryFile: string | undefined;
  readonly #call: { readonly signal?: AbortSignal };
  readonly #budget = new BatchBudget();
  /** Of the store as it is now. */
  #rows: Promise<readonly MemoryRow[]> | undefined;

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
    const { engine: choice, baseDtype: dtype } = options;
    const session = await openSession({
      engine: choice,
      ...chosen,
      dtype,
      editor: chosen.spec,
      cachedTexts: CACHED_TEXTS,
    });
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
    this.#rows = undefined;
    await this.#save();
    return ids;
  }

  /** Throws DATA_INVALID when one of them is not there; then none is removed. */
  async remove(ids: readonly number[]): Promise<void> {
    await this.#store.remove(ids);
    this.#rows = undefined;
    await this.#save();
  }

  list(): Promise<readonly MemoryRow[]> {
    this.#rows ??= this.#store.list();
    return this.#rows;
  }

  /** @throws SeprogError DATA_INVALID for a question without a token */
  read(question: string): ReadQuestion {
    const { codec } = this.#session;
    return { question, source: codec.source(question), view: codec.view(question) };
  }

  ask(questions: readonly string[]): Promise<SideBySide[]> {
    return this.answer(questions.map((question) => this.read(question)));
  }

  /** In the order of the questions. The engine gets the calls of both models at once, and of two of these calls too. */
  async answer(questions: readonly ReadQuestion[]): Promise<SideBySide[]> {
    const rows = await this.list();
    const edited = await this.#store.edited();
    const [before, after] = await Promise.all([
      this.#generate(this.#session.base, questions),
      this.#generate(edited, questions),
    ]);
    return questions.map((asked, index) => {
      const { text = "", scope } = after[index] ?? {};
      return {
        question: asked.question,
        base: before[index]?.text ?? "",
        edited: text,
        edits: rows.length,
        gate: rows.length === 0 ? null : sigmoid(scope?.logit),
        edit: rows[scope?.selected ?? -1] ?? null,
      };
    });
  }

  async #generate(model: Model | EditedModel, questions: readonly ReadQuestion[]): Promise<Said[]> {
    const { codec } = this.#session;
    const said: Said[] = [];
    await askInBatches({
      items: questions.map((asked, index) => ({ ...asked, index })),
      tokensOf: ({ source, view }) =>
        Math.max(source.length, view?.classifier.length ?? 0, view?.counterfactual.length ?? 0) +
        MAX_NEW_TOKENS,
      sizes: this.#budget.of("answer"),
      ask: (batch, measure) =>
        model.generate(packRows(batch.map(({ source }) => source)), {
          maxNewTokens: MAX_NEW_TOKENS,
          ...codec.generation,
          ...viewOptions(batch.map(({ view }) => view)),
          ...this.#call,
          ...(measure && { measure }),
        }),
      take: (batch, { tokens, scope }) => {
        unpackRows(tokens).forEach((ids, i) => {
          const logit = scope?.logit[i];
          said[batch[i]?.index ?? i] = {
            text: codec.answer(ids),
            ...(scope && logit !== undefined && { scope: { logit, selected: scope.selected[i] ?? -1 } }),
          };
        });
      },
    });
    return said;
  }

  async #save(): Promise<void> {
    if (this.#memoryFile !== undefined) await this.#store.save(this.#memoryFile);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve(this.#session[Symbol.asyncDispose]());
  }
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
  // Whatever type it was rounded to for training: an editor works on the same weights in each.
  const [checksum] = trained.model.checksum.split(" ");
  if ((await modelHash(modelFolder)) !== checksum)
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
