import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { AnswerLine } from "../evaluation/answer_lines.js";
import type { ElsewhereRecord } from "../evaluation/elsewhere_record.js";
import { writeJsonAtomically } from "../files.js";
import { LineFile } from "./line_file.js";

export const ELSEWHERE_FILES = { record: "evaluation.json", answers: "answers.jsonl" } as const;

/** Writes the log, then the record; the record's presence means that both are whole. */
export async function writeElsewhere(
  folder: string,
  record: ElsewhereRecord,
  lines: Iterable<AnswerLine>,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  await using file = await LineFile.open(join(folder, ELSEWHERE_FILES.answers));
  for (const line of lines) await file.write(line);
  await file.complete();
  await writeJsonAtomically(join(folder, ELSEWHERE_FILES.record), record);
}
