import { resolve } from "node:path";
import { evaluateEdited, folderName } from "../bench/edited_run.js";
import type { Elsewhere, ElsewhereCell } from "../bench/elsewhere.js";
import { refuseSuiteFolder, writeElsewhere } from "../bench/elsewhere_folder.js";
import { codeVersion } from "../bench/environment.js";
import { datasetLabel } from "../bench/grid.js";
import { LineFile } from "../bench/line_file.js";
import { questionsOfEdits } from "../bench/own_edits.js";
import { evaluatePredictions } from "../bench/predictions_run.js";
import { drawQuestions } from "../bench/questions_run.js";
import type { Override } from "../config/overrides.js";
import { resolveModel } from "../config/paths.js";
import { parseScheduleName } from "../config/schedule_name.js";
import type { SuiteConfig, SuiteDataset } from "../config/suite.js";
import { SeprogError } from "../errors.js";
import { type AnswerLine, answerLines } from "../evaluation/answer_lines.js";
import { type QuestionEpisode, questionLines, readQuestions } from "../evaluation/question_file.js";
import { writeLmEval } from "../report/lm_eval.js";
import { type AnsweringArgs, answeringChoice } from "./answering_choice.js";
import { type EngineArgs, engineChoices } from "./engine_choice.js";
import { interruptible } from "./interrupt.js";
import { createProgress } from "./progress.js";
import { printTables } from "./result_table.js";
import { type SuiteArgs, suiteFromArgs } from "./suite_args.js";
import { UsageError } from "./usage_error.js";
import { workLines } from "./work_text.js";

export interface ElsewhereArgs extends EngineArgs, AnsweringArgs, Omit<SuiteArgs, "k"> {
  readonly editor?: string | undefined;
  readonly edited?: string | undefined;
  readonly predictions?: string | undefined;
  readonly "questions-out"?: string | undefined;
  readonly questions?: string | undefined;
  readonly model?: string | undefined;
  readonly "out-of-scope"?: string | undefined;
  readonly schedule?: string | undefined;
  readonly "base-dtype"?: string | undefined;
  readonly name?: string | undefined;
  readonly "lm-eval"?: string | undefined;
  readonly out?: string | undefined;
  readonly k?: readonly number[] | undefined;
}

const MODES = ["editor", "edited", "predictions", "questions-out"] as const;
export type EvaluateMode = (typeof MODES)[number];

/** Which options only these modes take. */
const ONLY_FOR: Readonly<Record<string, readonly EvaluateMode[]>> = {
  questions: ["edited", "predictions"],
  model: ["edited", "predictions", "questions-out"],
  "out-of-scope": ["edited"],
  name: ["edited", "predictions"],
  "lm-eval": ["editor", "edited", "predictions"],
  "base-dtype": ["editor"],
};

/** @throws UsageError unless exactly one thing is to be evaluated, with options that it takes */
export function modeOf(args: ElsewhereArgs): EvaluateMode {
  const [mode, ...more] = MODES.filter((name) => args[name] !== undefined);
  if (mode === undefined || more.length > 0)
    throw new UsageError(
      `say what to evaluate: exactly one of ${MODES.map((name) => `--${name}`).join(", ")}${more.length > 0 ? `, not --${[mode, ...more].join(" and --")}` : ""}`,
    );
  const given: Readonly<Record<string, unknown>> = { ...args };
  for (const [name, modes] of Object.entries(ONLY_FOR))
    if (given[name] !== undefined && !modes.includes(mode))
      throw new UsageError(`--${name} goes with ${modes.map((one) => `--${one}`).join(" or ")} alone`);
  if (args.questions !== undefined && (args.schedule !== undefined || args.k !== undefined))
    throw new UsageError(
      "--questions says itself which K and schedule they are of: leave out --k and --schedule",
    );
  if (mode === "predictions" && args.questions === undefined)
    throw new UsageError("--predictions needs the file of --questions that they answer");
  return mode;
}

/** What `--schedule` stands for. */
export function scheduleOverrides(schedule: string | undefined): Override[] {
  if (schedule === undefined) return [];
  const value = parseScheduleName(schedule, "--schedule");
  return value === undefined
    ? []
    : [{ origin: `--schedule ${schedule}`, path: ["evaluation", "sequential"], value }];
}

/** Writes questions, or evaluates what others made; resolves to the exit status. */
export async function evaluateElsewhere(args: ElsewhereArgs, mode: EvaluateMode): Promise<number> {
  return interruptible(async (signal) => {
    const suite = suiteOf(args, mode);
    if (mode === "questions-out") return writeQuestions(args, suite, signal);
    const name = args.name ?? nameOf(args);
    const folder = args.out ?? `runs/evaluate-${name}`;
    refuseSuiteFolder(folder);
    const startedAt = new Date();
    const settingsOf = (dataset: string) => settingsIn(suite, dataset);
    const questions = await questionsOf(args, suite, signal);
    const common = {
      name,
      questions,
      engine: engineChoices(args).engine,
      answering: answeringChoice(args),
      settingsOf,
    };
    const done = await withProgress((onEvent) => {
      const calls = { signal, onEvent };
      if (args.predictions !== undefined) {
        const baseFolder = args.model === undefined ? undefined : resolveModel(args.model);
        return evaluatePredictions({ ...common, file: args.predictions, baseFolder }, calls);
      }
      const baseFolder = resolveModel(args.model ?? settingsIn(suite, "").model);
      return evaluateEdited({ ...common, directory: args.edited ?? "", baseFolder }, calls);
    });
    await write(folder, done);
    if (args["lm-eval"] !== undefined) await exportCells(args["lm-eval"], done, { args, suite, startedAt });
    return 0;
  });
}

/** What tables call the model or system where nothing else is said. */
const nameOf = ({ edited, predictions }: ElsewhereArgs): string =>
  predictions === undefined ? folderName(edited ?? "") : folderName(predictions).replace(/\.jsonl?$/, "");

/** The data set's settings by its label; of one that the suite does not name those of its first. */
function settingsIn({ datasets }: SuiteConfig, label: string): SuiteDataset {
  const found = datasets.find(({ name }) => datasetLabel(name) === label) ?? datasets[0];
  if (found === undefined) throw new SeprogError("INTERNAL", "expected a suite with a data set");
  return found;
}

function suiteOf({ k, ...args }: ElsewhereArgs, mode: EvaluateMode): SuiteConfig {
  const model =
    args.model === undefined ? [] : [{ origin: `--model ${args.model}`, path: ["model"], value: args.model }];
  // Of known edits `--k` says how many of the first are meant; else it chooses among those of the suite.
  const isKnown = mode === "edited" && fileOfEdits(args) !== undefined;
  return suiteFromArgs({ ...args, ...(!isKnown && { k }) }, [...model, ...scheduleOverrides(args.schedule)]);
}

/** The file that says which edits are in a folder, where no questions are given. */
const fileOfEdits = ({ questions, data }: Pick<ElsewhereArgs, "questions" | "data">): string | undefined =>
  questions === undefined && data?.endsWith(".jsonl") ? resolve(data) : undefined;

async function questionsOf(
  args: ElsewhereArgs,
  suite: SuiteConfig,
  signal: AbortSignal,
): Promise<readonly QuestionEpisode[]> {
  const { questions, k, "out-of-scope": outOfScope } = args;
  if (questions !== undefined) return readQuestions(questions);
  const file = fileOfEdits(args);
  if (file !== undefined && args.edited !== undefined) {
    const { evaluation } = settingsIn(suite, datasetLabel(file));
    return questionsOfEdits({ file, k, outOfScope, evaluation });
  }
  const { engine } = engineChoices(args);
  const answering = answeringChoice(args);
  return withProgress((onEvent) => drawQuestions(suite, { engine, answering, signal, onEvent }));
}

async function withProgress<Result>(
  work: (onEvent: ReturnType<typeof createProgress>["onEvent"]) => Promise<Result>,
): Promise<Result> {
  const progress = createProgress();
  try {
    return await work((event) => progress.onEvent(event));
  } finally {
    progress.close();
  }
}

async function writeQuestions(args: ElsewhereArgs, suite: SuiteConfig, signal: AbortSignal): Promise<number> {
  const out = args["questions-out"] ?? "";
  const episodes = await questionsOf(args, suite, signal);
  const { mkdir } = await import("node:fs/promises");
  const { dirname } = await import("node:path");
  await mkdir(dirname(resolve(out)), { recursive: true });
  await using file = await LineFile.open(out);
  let questions = 0;
  for (const line of questionLines(episodes)) {
    await file.write(line);
    questions += "edits" in line ? 0 : 1;
  }
  await file.complete();
  process.stdout.write(`${questions} questions about ${episodes.length} episodes written to ${out}\n`);
  return 0;
}

async function write(folder: string, done: Elsewhere): Promise<void> {
  const { run, reports, answers } = await writeElsewhere(folder, done);
  printTables(run);
  for (const line of workLines(done.cells.map(({ result }) => result.work)))
    process.stderr.write(`${line}\n`);
  for (const note of run.summary.notes) process.stdout.write(`\n${note}\n`);
  process.stdout.write(`\nReport: ${reports.html}\n        ${reports.markdown}\nAnswers: ${answers}\n`);
}

interface ExportedRun {
  readonly args: ElsewhereArgs;
  readonly suite: SuiteConfig;
  readonly startedAt: Date;
}

/** Writes what was evaluated now, not what else the folder holds, in the harness's layout. */
async function exportCells(
  directory: string,
  { cells }: Elsewhere,
  { args, suite, startedAt }: ExportedRun,
): Promise<void> {
  const [first] = cells;
  if (first === undefined) throw new SeprogError("INTERNAL", "expected a cell to export");
  const { method, model, origin } = first.result.cell;
  const { results } = await writeLmEval(directory, {
    model: method,
    modelArgs: model === null ? {} : { base: model },
    lines: cells.flatMap(linesOf),
    maxNewTokens: origin?.kind === "edited" ? settingsIn(suite, "").evaluation.maxNewTokens : null,
    device: first.result.provenance.device === null ? null : args.device,
    startedAt,
    wallMs: Date.now() - startedAt.getTime(),
    code: codeVersion(),
  });
  process.stdout.write(`lm-evaluation-harness: ${results}\n`);
}

function linesOf({ result, lines }: ElsewhereCell): AnswerLine[] {
  const { method, dataset, K, seed, schedule } = result.cell;
  return lines.flatMap((line) => answerLines(line, { method, dataset, K, seed, schedule }));
}
