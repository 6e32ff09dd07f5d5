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

function decodeLine(bytes: Buffer, number: number): Line {
  const decoder = new TextDecoder("utf-8", { fatal: true });
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

/**
 * Lines of a UTF-8 file, streamed; memory is bounded by the longest line.
 * @throws SeprogError DATA_INVALID if the file cannot be read or a line is longer than 16 MiB
 */
export async function* readLines(path: string): AsyncGenerator<Line> {
  let number = 0;
  let parts: Buffer[] = [];
  let heldBytes = 0;
  for await (const chunk of openChunks(path)) {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, from)) {
      parts.push(chunk.subarray(from, at));
      number += 1;
      yield decodeLine(Buffer.concat(parts), number);
      parts = [];
      heldBytes = 0;
      from = at + 1;
    }
    parts.push(chunk.subarray(from));
    heldBytes += chunk.length - from;
    if (heldBytes > MAX_LINE_BYTES)
      throw new SeprogError(
        "DATA_INVALID",
        `expected lines of at most ${MAX_LINE_BYTES} bytes but received a longer one at ${path}:${number + 1}; is it JSON Lines?`,
      );
  }
  if (heldBytes > 0) yield decodeLine(Buffer.concat(parts), number + 1);
}
