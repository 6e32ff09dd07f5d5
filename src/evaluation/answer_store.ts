import { randomBytes } from "node:crypto";
import { readdir, readFile, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { z } from "zod";
import { writeFileAtomically } from "../files.js";

/** All stores below one folder together; those that were not used for the longest go first. */
const MOST_BYTES = 256 * 2 ** 20;
/** Files of one store, before they are joined. */
const MOST_FILES = 32;

const storedAnswerSchema = z.union([
  z.strictObject({ key: z.string(), tokens: z.array(z.int()) }),
  z.strictObject({ key: z.string(), argmax: z.array(z.int()), negLogLik: z.number() }),
]);

/** One answer of a base model: generated tokens, or scores of a target. */
export type StoredAnswer = Readonly<z.infer<typeof storedAnswerSchema>>;

/** One answer a line, behind the CRC-32 of its JSON. */
function toLine(answer: StoredAnswer): string {
  const json = JSON.stringify(answer);
  return `${crc32(json).toString(16).padStart(8, "0")} ${json}\n`;
}

/** Nothing for a line that is not whole: what it said is asked again. */
function fromLine(line: string): StoredAnswer[] {
  const [sum, json] = [line.slice(0, 8), line.slice(9)];
  if (crc32(json).toString(16).padStart(8, "0") !== sum) return [];
  const parsed = storedAnswerSchema.safeParse(JSON.parse(json));
  return parsed.success ? [parsed.data] : [];
}

/**
 * Answers on disk, in a folder named after everything that decides them. Files appear whole and are never written
 * again, so that any number of processes may read and add. A store that cannot be written is one that keeps nothing:
 * no evaluation fails by it.
 */
export class AnswerStore {
  readonly #root: string;
  readonly #folder: string;
  readonly #mostBytes: number;

  /**
   * @param root of all stores
   * @param identity hash of all that decides the answers but the questions
   */
  constructor(root: string, identity: string, mostBytes: number = MOST_BYTES) {
    this.#root = root;
    this.#folder = join(root, identity);
    this.#mostBytes = mostBytes;
  }

  /** All that is whole. */
  async read(): Promise<StoredAnswer[]> {
    const names = await this.#names();
    const texts = await Promise.all(
      names.map((name) => readFile(join(this.#folder, name), "utf8").catch(() => "")),
    );
    const answers = texts.flatMap((text) => text.split("\n").flatMap(fromLine));
    const now = new Date();
    await utimes(this.#folder, now, now).catch(() => undefined);
    if (names.length > MOST_FILES) await this.#join(names, answers);
    return answers;
  }

  async add(answers: readonly StoredAnswer[]): Promise<void> {
    try {
      await this.#write(answers);
      await this.#makeRoom();
    } catch {
      // What is not kept is asked again.
    }
  }

  #write(answers: readonly StoredAnswer[]): Promise<void> {
    const name = `${Date.now().toString(36)}-${randomBytes(4).toString("hex")}.jsonl`;
    return writeFileAtomically(join(this.#folder, name), answers.map(toLine).join(""));
  }

  async #names(): Promise<string[]> {
    const names = await readdir(this.#folder).catch(() => []);
    return names.filter((name) => name.endsWith(".jsonl")).sort();
  }

  /** One file in place of many, without what stood in two of them. */
  async #join(names: readonly string[], answers: readonly StoredAnswer[]): Promise<void> {
    const distinct = new Map(answers.map((answer) => [answer.key, answer] as const));
    try {
      await this.#write([...distinct.values()]);
      await Promise.all(names.map((name) => rm(join(this.#folder, name), { force: true })));
    } catch {
      // The many files serve as well.
    }
  }

  /** Files go until the rest fits: of the store that was read the longest ago first, of each the oldest first. */
  async #makeRoom(): Promise<void> {
    const folders = (await readdir(this.#root)).map((name) => join(this.#root, name));
    const files = (await Promise.all(folders.map(filesOf))).flat();
    files.sort((a, b) => a.readMs - b.readMs || (a.path < b.path ? -1 : 1));
    let total = files.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const { path, bytes } of files) {
      if (total <= this.#mostBytes) return;
      await rm(path, { force: true });
      total -= bytes;
    }
  }
}

interface StoreFile {
  readonly path: string;
  readonly bytes: number;
  /** When its store was read last. */
  readonly readMs: number;
}

async function filesOf(folder: string): Promise<StoreFile[]> {
  const { mtimeMs: readMs } = await stat(folder);
  const names = await readdir(folder);
  return Promise.all(
    names.map(async (name) => {
      const path = join(folder, name);
      return { path, bytes: (await stat(path)).size, readMs };
    }),
  );
}
