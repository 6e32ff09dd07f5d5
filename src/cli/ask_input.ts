import { once } from "node:events";
import { createInterface } from "node:readline";
import { addAbortSignal, type Readable } from "node:stream";
import type { AskedLine, RefusedLine } from "../bench/ask_stream.js";
import { decodeLine, type Line, lineBlocks, linesOf } from "../data/read_lines.js";
import { SeprogError } from "../errors.js";

/** Questions as people type them on a terminal, one a line, blank ones left out; with a prompt. */
export async function* typedQuestions(signal: AbortSignal): AsyncGenerator<string> {
  const lines = createInterface({ input: process.stdin, terminal: false });
  const close = (): void => lines.close();
  signal.addEventListener("abort", close, { once: true });
  try {
    process.stderr.write("? ");
    for await (const line of lines) {
      if (line.trim() !== "") yield line.trim();
      process.stderr.write("? ");
    }
    signal.throwIfAborted();
  } finally {
    signal.removeEventListener("abort", close);
    lines.close();
  }
}

/**
 * The lines of a stream as they come, blank ones left out: JSON Lines with a `question` each, and an `id` if they like,
 * where the first one begins with a brace; else each line is a question.
 * @throws SeprogError DATA_INVALID for a line that is longer than any question; the signal's reason
 */
export async function* askedLines(
  input: Readable,
  signal: AbortSignal,
): AsyncGenerator<readonly (AskedLine | RefusedLine)[]> {
  let parse: ((line: Line) => AskedLine | RefusedLine) | undefined;
  try {
    for await (const block of lineBlocks(addAbortSignal(signal, input), "standard input")) {
      const lines = [...linesOf(block)].map(decodeLine).filter(({ text }) => text?.trim() !== "");
      const [first] = lines;
      if (first === undefined) continue;
      parse ??= first.text?.trimStart().startsWith("{") ? parseRecord : parseText;
      yield lines.map(parse);
    }
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

const refused = (line: number, message: string, id?: unknown): RefusedLine => ({
  line,
  ...(id !== undefined && { id }),
  problem: new SeprogError("DATA_INVALID", message),
});

function parseText({ number, text }: Line): AskedLine | RefusedLine {
  if (text === undefined) return refused(number, "expected UTF-8 text but received other bytes");
  return { line: number, question: text.trim() };
}

function parseRecord({ number, text }: Line): AskedLine | RefusedLine {
  if (text === undefined) return refused(number, "expected UTF-8 text but received other bytes");
  let record: unknown;
  try {
    record = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return refused(number, `expected one JSON object but received: ${reason}`);
  }
  if (typeof record !== "object" || record === null || Array.isArray(record))
    return refused(number, "expected one JSON object but received another value");
  const id = "id" in record ? record.id : undefined;
  const question = "question" in record ? record.question : undefined;
  if (typeof question !== "string" || question.trim() === "")
    return refused(
      number,
      `expected text for \`question\` but received ${JSON.stringify(question) ?? "none"}`,
      id,
    );
  return { line: number, ...(id !== undefined && { id }), question };
}

/** Writes when there is room: a slow reader holds back what is computed for it. */
export async function writeOut(text: string): Promise<void> {
  if (text !== "" && !process.stdout.write(text)) await once(process.stdout, "drain");
}
