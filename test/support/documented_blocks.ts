import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** A fenced block of a page whose opening line names a file: ```cpp native/core/editors/x.cpp */
export interface DocumentedBlock {
  readonly language: string;
  readonly path: string;
  readonly text: string;
}

export function documentedBlocks(page: string): DocumentedBlock[] {
  const text = readFileSync(fileURLToPath(new URL(`../../${page}`, import.meta.url)), "utf8");
  return [...text.matchAll(/^```(\w+) (\S+)\n(.*?)^```$/gms)].map(
    ([, language = "", path = "", body = ""]) => ({
      language,
      path,
      text: body,
    }),
  );
}

/** Adds the `+` lines of a block to its context. @throws Error unless the context is there exactly once */
export function applyAddition(content: string, diff: string): string {
  const lines = diff.trimEnd().split("\n");
  const plain = (some: readonly string[]): string => some.map((line) => `${line.slice(1)}\n`).join("");
  const parts = content.split(plain(lines.filter((line) => line.startsWith(" "))));
  if (parts.length !== 2)
    throw new Error(`expected one place for the addition but found ${parts.length - 1}:\n${diff}`);
  return parts.join(plain(lines));
}
