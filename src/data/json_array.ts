import type { z } from "zod";
import { SeprogError } from "../errors.js";
import type { ParsedLine } from "./json_lines.js";
import type { Problems } from "./problems.js";
import { MAX_LINE_BYTES, openChunks } from "./read_lines.js";
import { describeIssues } from "./schema.js";

const [QUOTE, BACKSLASH, NEWLINE] = [0x22, 0x5c, 0x0a];
const OPENING: ReadonlySet<number> = new Set([0x7b, 0x5b]);
const CLOSING: ReadonlySet<number> = new Set([0x7d, 0x5d]);
const BLANK: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d]);
const BYTE_ORDER_MARK: ReadonlySet<number> = new Set([0xef, 0xbb, 0xbf]);
const COMMA = 0x2c;

interface Item {
  /** Line of its first byte, counted from 1. */
  readonly number: number;
  readonly bytes: Buffer;
}

function notAnArray(path: string, line: number, received: string): SeprogError {
  return new SeprogError("DATA_INVALID", `expected a JSON array at ${path}:${line} but received ${received}`);
}

/**
 * Cuts a JSON array into the bytes of its items without holding the file: only strings and brackets are followed,
 * items are parsed by whoever takes them.
 */
async function* arrayItems(path: string): AsyncGenerator<Item> {
  let line = 1;
  let depth = 0;
  let inString = false;
  let escaped = false;
  let ended = false;
  let started = false;
  let item: { number: number; parts: Buffer[]; bytes: number } | undefined;
  for await (const chunk of openChunks(path)) {
    let from = 0;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at] ?? 0;
      if (byte === NEWLINE) line += 1;
      if (inString) {
        if (escaped) escaped = false;
        else if (byte === BACKSLASH) escaped = true;
        else if (byte === QUOTE) inString = false;
        continue;
      }
      if (depth === 0) {
        if (BLANK.has(byte) || (!started && line === 1 && BYTE_ORDER_MARK.has(byte))) continue;
        if (started || byte !== 0x5b)
          throw notAnArray(path, line, ended ? "more text behind its end" : "other text");
        started = true;
        depth = 1;
        continue;
      }
      if (depth === 1 && (byte === COMMA || byte === 0x5d)) {
        if (item !== undefined) {
          item.parts.push(chunk.subarray(from, at));
          yield { number: item.number, bytes: Buffer.concat(item.parts) };
          item = undefined;
        }
        if (byte === 0x5d) {
          depth = 0;
          ended = true;
        }
        continue;
      }
      if (item === undefined) {
        if (BLANK.has(byte)) continue;
        item = { number: line, parts: [], bytes: 0 };
        from = at;
      }
      if (byte === QUOTE) inString = true;
      else if (OPENING.has(byte)) depth += 1;
      else if (CLOSING.has(byte)) depth -= 1;
    }
    if (item === undefined) continue;
    item.parts.push(chunk.subarray(from));
    item.bytes += chunk.length - from;
    if (item.bytes > MAX_LINE_BYTES)
      throw new SeprogError(
        "DATA_INVALID",
        `expected array items of at most ${MAX_LINE_BYTES} bytes but received a longer one at ${path}:${item.number}`,
      );
  }
  if (!ended) throw notAnArray(path, line, started ? "a file that ends before the array does" : "no text");
}

/**
 * Checked items of a file that is one JSON array, streamed; memory is bounded by the longest item. Bad items go to
 * `problems`, with the line they begin at, and are left out.
 * @throws SeprogError DATA_INVALID if the file cannot be read, is no array, or an item is longer than 16 MiB
 */
export async function* parseJsonArray<Schema extends z.ZodType>(
  path: string,
  schema: Schema,
  problems: Problems,
): AsyncGenerator<ParsedLine<z.output<Schema>>> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  for await (const { number, bytes } of arrayItems(path)) {
    const place = `${path}:${number}`;
    let json: unknown;
    try {
      json = JSON.parse(decoder.decode(bytes));
    } catch (error) {
      const received = error instanceof SyntaxError ? error.message : "bytes that are no UTF-8 text";
      problems.add(place, `expected a JSON value but received: ${received}`);
      continue;
    }
    const parsed = schema.safeParse(json);
    if (parsed.success) yield { number, value: parsed.data };
    else for (const issue of describeIssues(parsed.error)) problems.add(place, issue);
  }
}
