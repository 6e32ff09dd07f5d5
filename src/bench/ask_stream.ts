import { SeprogError } from "../errors.js";
import type { EditSession, ReadQuestion, SideBySide } from "./edit_session.js";
import { gathered } from "./gathered.js";
import { overlapped } from "./overlapped.js";

/** A line that asks something. */
export interface AskedLine {
  /** Counted from 1. */
  readonly line: number;
  /** What the answer is to be found by; absent where the line has none. */
  readonly id?: unknown;
  readonly question: string;
}

/** A line that asks nothing, and why. */
export interface RefusedLine extends Pick<AskedLine, "line" | "id"> {
  readonly problem: SeprogError;
}

export type Reply = RefusedLine | (Pick<AskedLine, "line" | "id"> & { readonly answer: SideBySide });

/** One is read by the tokenizer while the engine works on the other. */
const WINDOWS_AT_ONCE = 2;
/**
 * Characters, and what a line takes beside them: some 20,000 short questions. So many fill batches of rows of about one
 * length; by lines and not by parts, for a pipe may bring a few lines at a time.
 */
const READ_AHEAD = { size: 2 ** 21, sizeOf: (line: AskedLine | RefusedLine): number => 64 + lengthOf(line) };

/**
 * Answers a stream of questions in its order. What has come is asked at once; what is in hand is bounded. A line that
 * cannot be answered has a problem in place of an answer, and the others go on.
 * @param parts lines as they come
 * @throws what the engine throws; what reading the stream throws
 */
export function answerStream(
  session: Pick<EditSession, "read" | "answer">,
  parts: AsyncIterable<readonly (AskedLine | RefusedLine)[]>,
): AsyncGenerator<readonly Reply[]> {
  const windows = gathered(parts, READ_AHEAD);
  return overlapped(windows, (lines) => answerWindow(session, lines), WINDOWS_AT_ONCE);
}

const lengthOf = (line: AskedLine | RefusedLine): number => ("question" in line ? line.question.length : 0);

async function answerWindow(
  session: Pick<EditSession, "read" | "answer">,
  lines: readonly (AskedLine | RefusedLine)[],
): Promise<readonly Reply[]> {
  const readable = lines.map((line) => ("problem" in line ? line : readLine(session, line)));
  const asked = readable.flatMap((line) => ("read" in line ? [line.read] : []));
  const answers = (asked.length > 0 ? await session.answer(asked) : []).values();
  return readable.map((line): Reply => {
    if ("problem" in line) return line;
    const { value: answer } = answers.next();
    if (answer === undefined) throw new SeprogError("INTERNAL", "expected an answer to every question");
    const { read: _, ...where } = line;
    return { ...where, answer };
  });
}

function readLine(
  session: Pick<EditSession, "read">,
  { question, ...where }: AskedLine,
): RefusedLine | (Pick<AskedLine, "line" | "id"> & { readonly read: ReadQuestion }) {
  try {
    return { ...where, read: session.read(question) };
  } catch (error) {
    if (error instanceof SeprogError && error.code === "DATA_INVALID") return { ...where, problem: error };
    throw error;
  }
}
