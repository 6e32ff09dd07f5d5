import { open, writeFile } from "node:fs/promises";

/**
 * A file whose second line is 1 GiB long: it takes no room on the disk, its line is zero bytes behind a beginning.
 * @param head the first line and the beginning of the second
 */
export async function writeEndlessLine(path: string, head: string): Promise<void> {
  await writeFile(path, head);
  const file = await open(path, "r+");
  await file.truncate(2 ** 30);
  await file.close();
}

/** Bytes of the heap and of buffers that the process gained while `work` ran. */
export async function bytesGained(work: () => Promise<unknown>): Promise<number> {
  const before = process.memoryUsage();
  await work();
  const after = process.memoryUsage();
  return after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers;
}
