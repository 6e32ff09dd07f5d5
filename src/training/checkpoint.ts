import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { SeprogError } from "../errors.js";
import { removeLeftovers, writeFolderAtomically, writeJsonAtomically } from "../files.js";

const STATE_FILE = "state.json";
const fileSchema = z.strictObject({ identity: z.string(), state: z.json() });

/** What can be written to and read from a folder: editors and fine-tuners. */
export interface Restorable {
  save(directory: string, options?: { readonly optimizer?: boolean }): Promise<void>;
  restore(directory: string, options?: { readonly optimizer?: boolean }): Promise<void>;
}

export interface Checkpoint<State> {
  readonly state: State;
  readonly directory: string;
}

/**
 * Checkpoints of one training run below one folder: `step-<n>` holds weights, optimiser state and the loop's own
 * `state.json`; `best-<n>` holds the weights with the lowest validation loss. Folders appear complete, by rename, and
 * older ones go only after the new one is there, so that a crash at any time leaves one to resume from.
 */
export class CheckpointFolder<Schema extends z.ZodType> {
  readonly #root: string;
  readonly #identity: string;
  readonly #stateSchema: Schema;

  /** @param identity hash of everything that decides the run: a checkpoint of another run is refused */
  constructor(root: string, identity: string, stateSchema: Schema) {
    this.#root = root;
    this.#identity = identity;
    this.#stateSchema = stateSchema;
  }

  #path(kind: "step" | "best", step: number): string {
    return join(this.#root, `${kind}-${String(step).padStart(8, "0")}`);
  }

  bestDirectory(step: number): string {
    return this.#path("best", step);
  }

  async saveBest(step: number, subject: Restorable): Promise<void> {
    await writeFolderAtomically(this.bestDirectory(step), (folder) => subject.save(folder));
  }

  /** @param bestStep the step whose best weights `state` refers to, if any; all other best folders go */
  async save(
    step: number,
    state: z.input<Schema>,
    subject: Restorable,
    bestStep: number | null = null,
  ): Promise<string> {
    const directory = this.#path("step", step);
    await writeFolderAtomically(directory, async (folder) => {
      await subject.save(folder, { optimizer: true });
      await writeJsonAtomically(join(folder, STATE_FILE), { identity: this.#identity, state });
    });
    await this.#keepOnly(bestStep === null ? [directory] : [directory, this.bestDirectory(bestStep)]);
    return directory;
  }

  async #keepOnly(kept: readonly string[]): Promise<void> {
    for (const name of await this.#names())
      if (!kept.includes(join(this.#root, name)))
        await rm(join(this.#root, name), { recursive: true, force: true });
  }

  async #names(): Promise<string[]> {
    const names = await readdir(this.#root).catch(() => []);
    return names.filter((name) => /^(step|best)-\d{8}$/.test(name)).sort();
  }

  /**
   * The newest checkpoint, or null if there is none.
   * @throws SeprogError CHECKPOINT_INVALID if it belongs to another run or its state.json is damaged
   */
  async latest(): Promise<Checkpoint<z.output<Schema>> | null> {
    await removeLeftovers(this.#root);
    const newest = (await this.#names()).filter((name) => name.startsWith("step-")).at(-1);
    if (newest === undefined) return null;
    const directory = join(this.#root, newest);
    const { identity, state } = await this.#read(join(directory, STATE_FILE));
    if (identity !== this.#identity)
      throw new SeprogError(
        "CHECKPOINT_INVALID",
        `expected a checkpoint of this run (${this.#identity}) in ${directory} but received one of another (${identity}); start afresh with --fresh or choose another folder`,
      );
    return { state, directory };
  }

  async #read(path: string): Promise<{ identity: string; state: z.output<Schema> }> {
    try {
      const { identity, state } = fileSchema.parse(JSON.parse(await readFile(path, "utf8")));
      return { identity, state: this.#stateSchema.parse(state) };
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new SeprogError(
        "CHECKPOINT_INVALID",
        `expected the state of a training run in ${path} but received: ${reason}; start afresh with --fresh`,
        { cause },
      );
    }
  }

  /** Deletes every checkpoint of the run. */
  async clear(): Promise<void> {
    await this.#keepOnly([]);
    await removeLeftovers(this.#root);
  }
}
