import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { type Edit, editLabel, toEditText } from "../evaluation/plain_edits.js";
import type { MemoryRow } from "../native/addon.js";
import type { EditedModel, EditMemory, Editor, Model } from "../native/engine.js";
import type { EditCodec } from "../tokenizers/edit_codec.js";
import { EditList } from "./edit_list.js";

/** The edits of a session and the model they make. What it holds on the engine goes with the engine. */
export interface EditStore {
  /** In the order they were added; an id is given once. */
  list(): Promise<readonly MemoryRow[]>;
  /** Resolves to their ids. */
  add(edits: readonly Edit[]): Promise<readonly number[]>;
  /** Throws DATA_INVALID when one of them is not there; then none is removed. */
  remove(ids: readonly number[]): Promise<void>;
  /** Complete or not at all. */
  save(file: string): Promise<void>;
  /** The model with the present edits, the base where there are none; until the next change. */
  edited(): Promise<Model | EditedModel>;
}

export interface EditorAtWork {
  readonly editor: Editor;
  readonly base: Model;
  readonly codec: EditCodec;
  /** Whether its edits are rows of a memory; else they are words, and the editor applies all of them at once. */
  readonly hasMemory: boolean;
}

interface Call {
  readonly signal?: AbortSignal;
}

/** The edits of a file, none if it is not there. Throws CHECKPOINT_INVALID for another editor's memory or a damaged file. */
export async function openEditStore(
  work: EditorAtWork,
  file: string | undefined,
  call: Call,
): Promise<EditStore> {
  const saved = file !== undefined && existsSync(file) ? file : undefined;
  if (!work.hasMemory) return EditList.open(work, saved, call);
  const { editor, codec } = work;
  const memory = await (saved === undefined ? editor.createMemory(call) : editor.loadMemory(saved, call));
  return new MemoryStore(memory, await editor.withMemory(memory, call), codec, call);
}

/** Edits as rows of an edit memory. */
class MemoryStore implements EditStore {
  readonly #memory: EditMemory;
  /** Sees every change of the memory. */
  readonly #view: EditedModel;
  readonly #codec: EditCodec;
  readonly #call: Call;

  constructor(memory: EditMemory, view: EditedModel, codec: EditCodec, call: Call) {
    this.#memory = memory;
    this.#view = view;
    this.#codec = codec;
    this.#call = call;
  }

  list(): Promise<readonly MemoryRow[]> {
    return this.#memory.list(this.#call);
  }

  add(edits: readonly Edit[]): Promise<readonly number[]> {
    return this.#memory.add(this.#codec.editTexts(edits.map(toEditText)), edits.map(editLabel), this.#call);
  }

  remove(ids: readonly number[]): Promise<void> {
    return this.#memory.delete(ids, this.#call);
  }

  async save(file: string): Promise<void> {
    await mkdir(dirname(resolve(file)), { recursive: true });
    await this.#memory.save(file, this.#call);
  }

  async edited(): Promise<EditedModel> {
    return this.#view;
  }
}
