import { stat } from "node:fs/promises";
import type { Problems } from "../problems.js";
import { linesOf, readLineBlocks } from "../read_lines.js";

/** MEND's choice of passages: whitespace-separated words, ASCII only. */
const MIN_WORDS = 50;

const isPassage = (text: string): boolean =>
  text.split(/\s+/).filter((word) => word !== "").length >= MIN_WORDS;

/** Bytes that are ASCII, a tab included. */
const isAscii = (bytes: Buffer): boolean => bytes.every((byte) => byte < 0x80);

/**
 * Passages of a WikiText file as the file writes them (words with blanks between them, `@-@` for a hyphen): paragraphs
 * of at least 50 words, ASCII only.
 * @param share of the file that is read, from its start, in (0, 1]
 * @throws SeprogError DATA_INVALID if the file cannot be read
 */
export async function readWikitext(path: string, share: number, problems: Problems): Promise<string[]> {
  const { size } = await stat(path).catch(() => ({ size: 0 }));
  const passages: string[] = [];
  let read = 0;
  for await (const block of readLineBlocks(path)) {
    for (const { bytes } of linesOf(block)) {
      if (read >= share * size) return passages;
      read += bytes.length + 1;
      if (!isAscii(bytes)) continue;
      const text = bytes.toString("latin1").trim();
      if (isPassage(text)) passages.push(text);
    }
  }
  if (passages.length === 0)
    problems.add(path, `expected paragraphs of at least ${MIN_WORDS} words but received none`);
  return passages;
}
