import { createReadStream } from "node:fs";
import { SeprogError } from "../errors.js";

const NEWLINE = 0x0a;
/** A longer line is no record of any data set: it is refused before more of it is held. */
export const MAX_LINE_BYTES = 16 * 2 ** 20;

export interface Line {
  /** Counted from 1. */
  readonly number: number;
  /** Undefined if the bytes are no UTF-8. */
  readonly text: string | undefined;
}

const decoder = new TextDecoder("utf-8", { fatal: true });

/** Undefined text for bytes that are no UTF-8; a carriage return at the end is dropped. */
export function decodeLine({ bytes, number }: { readonly bytes: Buffer; readonly number: number }): Line {
  try {
    const text = decoder.decode(bytes);
    return { number, text: text.endsWith("\r") ? text.slice(0, -1) : text };
  } catch {
    return { number, text: undefined };
  }
}

/** @throws SeprogError DATA_INVALID if the file cannot be read */
export async function* openChunks(path: string): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of createReadStream(path)) yield chunk as Buffer;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SeprogError("DATA_INVALID", `expected a readable file at ${path} but received: ${reason}`, {
      cause,
    });
  }
}

export interface LineBlock {
  /** Whole lines; only the last one of the file may lack its end. */
  readonly bytes: Buffer;
  /** Number of the first line, counted from 1. */
  readonly firstLine: number;
}

function countLines(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, at + 1)) count += 1;
  return count;
}

/**
 * A file in pieces of whole lines, for readers of millions of lines; memory is bounded by the longest line.
 * @throws SeprogError DATA_INVALID if the file cannot be read or a line is longer than 16 MiB
 */
export function readLineBlocks(path: string): AsyncGenerator<LineBlock> {
  return lineBlocks(openChunks(path), path);
}

/** The same of any stream of bytes; each block holds what came at once. @param origin for errors */
export async function* lineBlocks(chunks: AsyncIterable<Buffer>, origin: string): AsyncGenerator<LineBlock> {
  let firstLine = 1;
  let held: Buffer[] = [];
  let heldBytes = 0;
  for await (const chunk of chunks) {
    const end = chunk.lastIndexOf(NEWLINE) + 1;
    if (end > 0) {
      const bytes = Buffer.concat([...held, chunk.subarray(0, end)]);
      yield { bytes, firstLine };
      firstLine += countLines(bytes);
      held = [];
      heldBytes = 0;
    }
    held.push(chunk.subarray(end));
    heldBytes += chunk.length - end;
    if (heldBytes > MAX_LINE_BYTES)
      throw new SeprogError(
        "DATA_INVALID",
        `expected lines of at most ${MAX_LINE_BYTES} bytes but received a longer one at ${origin}:${firstLine}; ` +
          "is it a file of lines?",
      );
  }
  if (heldBytes > 0) yield { bytes: Buffer.concat(held), firstLine };
}

/** The lines of a block, without their ends. */
export function* linesOf({ bytes, firstLine }: LineBlock): Generator<{ number: number; bytes: Buffer }> {
  let number = firstLine;
  for (let from = 0; from < bytes.length; number += 1) {
    const end = bytes.indexOf(NEWLINE, from);
    const to = end === -1 ? bytes.length : end;
    yield { number, bytes: bytes.subarray(from, to) };
    from = to + 1;
  }
}

/**
 * Lines of a UTF-8 file, streamed; memory is bounded by the longest line.
 * @throws SeprogError DATA_INVALID if the file cannot be read or a line is longer than 16 MiB
 */
export async function* readLines(path: string): AsyncGenerator<Line> {
  for await (const block of readLineBlocks(path)) for (const line of linesOf(block)) yield decodeLine(line);
}
