import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { z } from "zod";
import { describeIssues } from "../data/schema.js";
import { SeprogError } from "../errors.js";
import { type Edit, editLabel, plainEditRequests } from "../evaluation/plain_edits.js";
import { writeJsonAtomically } from "../files.js";
import type { MemoryRow } from "../native/addon.js";
import type { EditedModel, Model } from "../native/engine.js";
import type { EditorAtWork, EditStore } from "./edit_store.js";

interface Call {
  readonly signal?: AbortSignal;
}

const fileSchema = z
  .strictObject({
    schemaVersion: z.literal(1),
    /** Above every id that was ever given. */
    nextId: z.int().positive(),
    edits: z.array(z.strictObject({ id: z.int().positive(), question: z.string(), answer: z.string() })),
  })
  .refine(
    ({ nextId, edits }) =>
      new Set(edits.map(({ id }) => id)).size === edits.length && edits.every(({ id }) => id < nextId),
    "expected ids below `nextId` that differ from each other",
  );
type EditListFile = z.infer<typeof fileSchema>;

/** Edits in words, for editors that keep none: all that are there are applied to the base at once, in their order. */
export class EditList implements EditStore {
  readonly #work: EditorAtWork;
  readonly #call: Call;
  #content: EditListFile;
  #edited: EditedModel | undefined;

  private constructor(work: EditorAtWork, content: EditListFile, call: Call) {
    this.#work = work;
    this.#content = content;
    this.#call = call;
  }

  static async open(work: EditorAtWork, file: string | undefined, call: Call): Promise<EditList> {
    const empty: EditListFile = { schemaVersion: 1, nextId: 1, edits: [] };
    return new EditList(work, file === undefined ? empty : await readEditList(file), call);
  }

  async list(): Promise<readonly MemoryRow[]> {
    return this.#content.edits.map(({ id, ...edit }) => ({ id, label: editLabel(edit) }));
  }

  async add(edits: readonly Edit[]): Promise<readonly number[]> {
    const { codec } = this.#work;
    // Words that the model cannot read are told of now, not at the first question.
    codec.sources(edits.map(({ question }) => question));
    codec.targets(edits.map(({ answer }) => answer));
    const { nextId } = this.#content;
    const added = edits.map(({ question, answer }, i) => ({ id: nextId + i, question, answer }));
    await this.#change([...this.#content.edits, ...added], nextId + added.length);
    return added.map(({ id }) => id);
  }

  async remove(ids: readonly number[]): Promise<void> {
    const { edits, nextId } = this.#content;
    const missing = ids.find((id) => !edits.some((edit) => edit.id === id));
    if (missing !== undefined)
      throw new SeprogError(
        "DATA_INVALID",
        `expected the id of a stored edit for \`id\` but received ${missing}; list() gives the ids`,
      );
    await this.#change(
      edits.filter(({ id }) => !ids.includes(id)),
      nextId,
    );
  }

  save(file: string): Promise<void> {
    return writeJsonAtomically(resolve(file), this.#content);
  }

  async edited(): Promise<Model | EditedModel> {
    const { editor, base, codec } = this.#work;
    if (this.#content.edits.length === 0) return base;
    if (this.#edited === undefined) {
      const requests = await plainEditRequests(this.#content.edits, base, codec, this.#call);
      this.#edited = (await editor.edit(requests, base, this.#call)).model;
    }
    return this.#edited;
  }

  async #change(edits: EditListFile["edits"], nextId: number): Promise<void> {
    this.#content = { schemaVersion: 1, nextId, edits };
    await this.#edited?.dispose();
    this.#edited = undefined;
  }
}

async function readEditList(file: string): Promise<EditListFile> {
  const refuse = (reason: string, cause?: unknown): SeprogError =>
    new SeprogError(
      "CHECKPOINT_INVALID",
      `expected a list of edits (JSON) for \`--memory\` but received ${file}: ${reason}; editors with a memory of their own write another kind of file`,
      { cause },
    );
  let content: unknown;
  try {
    content = JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    throw refuse(error instanceof Error ? error.message : String(error), error);
  }
  const parsed = fileSchema.safeParse(content);
  if (!parsed.success) throw refuse(describeIssues(parsed.error).join("; "), parsed.error);
  return parsed.data;
}
