import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** A name beside `path` on the same file system; `removeLeftovers` finds it after a crash. */
function temporaryName(path: string): string {
  return join(dirname(path), `.${basename(path)}.${randomBytes(4).toString("hex")}.tmp`);
}

async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, "w");
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Readers see the old content or the new, never a part; a failure leaves the old one and no other file. */
export async function writeFileAtomically(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = temporaryName(path);
  try {
    await writeSynced(temporary, text);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

export function writeJsonAtomically(path: string, value: unknown): Promise<void> {
  return writeFileAtomically(path, `${JSON.stringify(value, null, 2)}\n`);
}

/**
 * `fill` writes into an empty folder beside `path`, which then takes its place. If `fill` fails, nothing changes.
 * An existing folder at `path` is replaced.
 */
export async function writeFolderAtomically(
  path: string,
  fill: (folder: string) => Promise<void>,
): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = temporaryName(path);
  try {
    await mkdir(temporary);
    await fill(temporary);
    await replaceFolder(path, temporary);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
}

async function replaceFolder(path: string, replacement: string): Promise<void> {
  if (!existsSync(path)) return rename(replacement, path);
  const replaced = temporaryName(path);
  await rename(path, replaced);
  try {
    await rename(replacement, path);
  } catch (error) {
    await rename(replaced, path);
    throw error;
  }
  await rm(replaced, { recursive: true, force: true });
}

/** Deletes what an interrupted process left half-written in `folder`. */
export async function removeLeftovers(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  const leftovers = names.filter((name) => /^\..+\.[0-9a-f]{8}\.tmp$/.test(name));
  await Promise.all(leftovers.map((name) => rm(join(folder, name), { recursive: true, force: true })));
}

/**
 * `fill` writes files into an empty folder beside `folder`; then each is moved into `folder` by rename, `last` at the
 * end, so that its presence means all are there. Other files of `folder` stay. If `fill` fails, nothing changes.
 */
export async function addFilesAtomically(
  folder: string,
  last: string,
  fill: (folder: string) => Promise<void>,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const temporary = temporaryName(folder);
  try {
    await mkdir(temporary);
    await fill(temporary);
    const names = (await readdir(temporary)).filter((name) => name !== last);
    for (const name of [...names, last]) await rename(join(temporary, name), join(folder, name));
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}
