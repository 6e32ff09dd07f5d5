import { z } from "zod";
import { parseJsonLines } from "../data/json_lines.js";
import { Problems } from "../data/problems.js";
import type { Edit } from "../evaluation/plain_edits.js";
import { writeFileAtomically } from "../files.js";

const editSchema = z.strictObject({ question: z.string(), answer: z.string() });

/** Writes edits as JSON Lines, complete or not at all: what an editor needs to apply them again. */
export function saveEdits(file: string, edits: readonly Edit[]): Promise<void> {
  const lines = edits.map(({ question, answer }) => `${JSON.stringify({ question, answer })}\n`);
  return writeFileAtomically(file, lines.join(""));
}

/** Reads what `saveEdits` wrote, in its order. @throws SeprogError DATA_INVALID naming the lines that hold no edit */
export async function loadEdits(file: string): Promise<Edit[]> {
  const problems = new Problems();
  const edits: Edit[] = [];
  for await (const { value } of parseJsonLines(file, editSchema, problems)) edits.push(value);
  problems.throwIfAny(file);
  return edits;
}
