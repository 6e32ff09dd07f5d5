import { join } from "node:path";
import { type AnswerLine, answerLines } from "../evaluation/answer_lines.js";
import { RUN_FILES, type RunData, readEdits } from "../report/run_data.js";
import { LineFile } from "./line_file.js";

/** The questions and answers of a run's cells, in the order of its table. */
export async function* runAnswers({ cells }: RunData): AsyncGenerator<AnswerLine> {
  for (const { folder, result } of cells) {
    const { method, dataset, K, seed, schedule } = result.cell;
    for (const line of await readEdits(folder))
      yield* answerLines(line, { method, dataset, K, seed, schedule });
  }
}

/** Writes them into the run's folder, one question a line. @returns the file's path */
export async function writeAnswerLog(run: RunData): Promise<string> {
  const path = join(run.folder, RUN_FILES.answers);
  await using file = await LineFile.open(path);
  for await (const line of runAnswers(run)) await file.write(line);
  await file.complete();
  return path;
}
