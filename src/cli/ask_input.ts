import { createInterface } from "node:readline";

/** Questions from standard input, one a line, blank ones left out; with a prompt on a terminal. */
export async function* readLines(signal: AbortSignal): AsyncGenerator<string> {
  const isTerminal = process.stdin.isTTY;
  const lines = createInterface({ input: process.stdin, terminal: false });
  const close = (): void => lines.close();
  signal.addEventListener("abort", close, { once: true });
  try {
    if (isTerminal) process.stderr.write("? ");
    for await (const line of lines) {
      if (line.trim() !== "") yield line.trim();
      if (isTerminal) process.stderr.write("? ");
    }
    signal.throwIfAborted();
  } finally {
    signal.removeEventListener("abort", close);
    lines.close();
  }
}
