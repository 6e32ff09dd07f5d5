import { randomBytes } from "node:crypto";
import { link, mkdir, readdir, readFile, rename, rm, rmdir, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { isRunning, type ProcessIdentity, processIdentity, processSpace } from "./process_identity.js";

/** A claim says this often that it is alive … */
const BEAT_MS = 10_000;
/** … and is dead after this, where its processes cannot be looked up. */
const SILENT_MS = 60_000;

const claimSchema = z.strictObject({
  /** Where the numbers of the processes below mean something. */
  space: z.string(),
  holders: z.array(z.strictObject({ pid: z.int(), startTicks: z.string() })),
});

interface ClaimFile {
  readonly name: string;
  /** Counted from 1. */
  readonly generation: number;
}

/** A piece of work that is this process's alone. */
export interface Claim {
  /** As long as this process runs, too, the work is taken. */
  addHolder(pid: number): Promise<void>;
  release(): Promise<void>;
}

/**
 * Pieces of work of which each is done by one process at a time, also where several share a folder. A claim is a file; one
 * whose processes have ended counts no longer, however they ended.
 *
 * Whoever finds a dead claim makes the next generation, `NAME.2` beside `NAME.1`, and has the work unless another live
 * claim stands beside it. Nobody removes what is not below a claim of its own: a file that was dead a moment ago may be
 * another's by now.
 */
export class Claims {
  readonly #folder: string;
  readonly #space = processSpace();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Undefined while another process has it. What was done before is to be looked up after a claim, not before. */
  async take(name: string): Promise<Claim | undefined> {
    const holders = [processIdentity(process.pid)].filter((holder) => holder !== null);
    const temporary = await this.#write(holders);
    try {
      const { mtimeMs: now } = await stat(temporary);
      const found = await this.#claimsOf(name);
      if (await this.#anyAlive(found, now)) return undefined;
      const own = { name, generation: (found.at(-1)?.generation ?? 0) + 1 };
      await link(temporary, this.#path(own));
      const claim = new HeldClaim(own, holders, this);
      const others = (await this.#claimsOf(name)).filter(({ generation }) => generation !== own.generation);
      if (!(await this.#anyAlive(others, now))) return claim;
      await claim.giveUp();
      return undefined;
    } catch (error) {
      if (isCode(error, "EEXIST")) return undefined;
      throw error;
    } finally {
      await rm(temporary, { force: true });
    }
  }

  /** Names of what processes are at. */
  async held(): Promise<string[]> {
    const alive: string[] = [];
    for (const file of await this.#files())
      if (await this.#anyAlive([file], Date.now())) alive.push(file.name);
    return [...new Set(alive)];
  }

  /** Removes what killed processes left, and the folder when nothing is in it. */
  async tidy(): Promise<void> {
    for (const { name } of await this.#files()) await (await this.take(name))?.release();
    const names = await readdir(this.#folder).catch(() => []);
    for (const path of names
      .filter((name) => name.endsWith(".tmp"))
      .map((name) => join(this.#folder, name))) {
      const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Number.POSITIVE_INFINITY }));
      if (Date.now() - mtimeMs > SILENT_MS) await rm(path, { force: true });
    }
    await rmdir(this.#folder).catch(() => undefined);
  }

  /** @internal */
  async rewrite(claim: ClaimFile, holders: readonly ProcessIdentity[]): Promise<void> {
    await rename(await this.#write(holders), this.#path(claim));
  }

  /** @internal */
  async beat(claim: ClaimFile): Promise<void> {
    const now = new Date();
    await utimes(this.#path(claim), now, now).catch(() => undefined);
  }

  /** @internal */
  remove(claim: ClaimFile): Promise<void> {
    return rm(this.#path(claim), { force: true });
  }

  /** Of dead processes. @internal */
  async removeOlder({ name, generation }: ClaimFile): Promise<void> {
    for (const older of await this.#claimsOf(name))
      if (older.generation < generation) await this.remove(older);
  }

  #path({ name, generation }: ClaimFile): string {
    return join(this.#folder, `${name}.${generation}`);
  }

  async #write(holders: readonly ProcessIdentity[]): Promise<string> {
    const path = join(this.#folder, `.claim.${randomBytes(4).toString("hex")}.tmp`);
    for (;;) {
      await mkdir(this.#folder, { recursive: true });
      try {
        await writeFile(path, JSON.stringify({ space: this.#space, holders }));
        return path;
      } catch (error) {
        // Another process has just found the folder empty and removed it.
        if (!isCode(error, "ENOENT")) throw error;
      }
    }
  }

  async #files(): Promise<ClaimFile[]> {
    const names = await readdir(this.#folder).catch(() => []);
    return names.flatMap((file) => {
      const [, name, generation] = /^([^.].*)\.(\d+)$/.exec(file) ?? [];
      return name === undefined ? [] : [{ name, generation: Number(generation) }];
    });
  }

  /** In rising order. */
  async #claimsOf(name: string): Promise<ClaimFile[]> {
    const files = (await this.#files()).filter((file) => file.name === name);
    return files.sort((a, b) => a.generation - b.generation);
  }

  /** @param now by the clock that stamps the files */
  async #anyAlive(claims: readonly ClaimFile[], now: number): Promise<boolean> {
    for (const claim of claims) if (await this.#isAlive(this.#path(claim), now)) return true;
    return false;
  }

  async #isAlive(path: string, now: number): Promise<boolean> {
    try {
      const { space, holders } = claimSchema.parse(JSON.parse(await readFile(path, "utf8")));
      if (space === this.#space) return holders.some(isRunning);
      return now - (await stat(path)).mtimeMs < SILENT_MS;
    } catch (error) {
      if (isCode(error, "ENOENT")) return false;
      throw error;
    }
  }
}

class HeldClaim implements Claim {
  readonly #file: ClaimFile;
  readonly #claims: Claims;
  readonly #beat: NodeJS.Timeout;
  #holders: readonly ProcessIdentity[];

  constructor(file: ClaimFile, holders: readonly ProcessIdentity[], claims: Claims) {
    this.#file = file;
    this.#holders = holders;
    this.#claims = claims;
    this.#beat = setInterval(() => void claims.beat(file), BEAT_MS);
    this.#beat.unref();
  }

  async addHolder(pid: number): Promise<void> {
    const holder = processIdentity(pid);
    if (holder === null) return;
    this.#holders = [...this.#holders, holder];
    await this.#claims.rewrite(this.#file, this.#holders);
  }

  async release(): Promise<void> {
    await this.#claims.removeOlder(this.#file);
    await this.giveUp();
  }

  /** Leaves older ones: they may be alive. */
  async giveUp(): Promise<void> {
    clearInterval(this.#beat);
    await this.#claims.remove(this.#file);
  }
}

const isCode = (error: unknown, code: string): boolean =>
  error instanceof Error && "code" in error && error.code === code;
