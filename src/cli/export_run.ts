import { runAnswers, writeAnswerLog } from "../bench/answer_log.js";
import { codeVersion } from "../bench/environment.js";
import type { AnswerLine } from "../evaluation/answer_lines.js";
import { writeLmEval } from "../report/lm_eval.js";
import { readRun } from "../report/run_data.js";

export interface ExportOptions {
  /** What the harness's files call the editor. */
  readonly name: string;
  /** Folder for files as lm-evaluation-harness writes them; default: none. */
  readonly lmEval?: string | undefined;
  readonly device: string;
  /** Most tokens of an answer. */
  readonly maxNewTokens: number | null;
  readonly startedAt: Date;
}

/** Writes the log of a run's answers and, where asked for, results and samples in the harness's layout. */
export async function exportRun(
  folder: string,
  { name, lmEval, device, maxNewTokens, startedAt }: ExportOptions,
): Promise<void> {
  const run = await readRun(folder);
  process.stdout.write(`Answers: ${await writeAnswerLog(run)}\n`);
  if (lmEval === undefined) return;
  const lines: AnswerLine[] = [];
  for await (const line of runAnswers(run)) lines.push(line);
  const [first] = run.summary.cells;
  const { results } = await writeLmEval(lmEval, {
    model: name,
    modelArgs:
      first === undefined ? {} : { editor: first.method, ...(first.model !== null && { base: first.model }) },
    lines,
    maxNewTokens,
    device,
    startedAt,
    wallMs: Date.now() - startedAt.getTime(),
    code: codeVersion(),
  });
  process.stdout.write(`lm-evaluation-harness: ${results}\n`);
}
