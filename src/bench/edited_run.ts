import { readdir } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { type EvaluationConfig, scheduleName } from "../config/evaluation.js";
import type { TextConfig } from "../config/suite.js";
import { SeprogError } from "../errors.js";
import { type AnswerLine, answerLines } from "../evaluation/answer_lines.js";
import type { AskOptions } from "../evaluation/answers.js";
import { BaseAnswers } from "../evaluation/base_answers.js";
import { BatchBudget } from "../evaluation/batch_budget.js";
import type { ElsewhereCell, ElsewhereRecord } from "../evaluation/elsewhere_record.js";
import { evaluate } from "../evaluation/evaluate.js";
import type { KnownAnswers } from "../evaluation/known_answers.js";
import {
  type QuestionCell,
  type QuestionEpisode,
  questionCells,
  questionsChecksum,
} from "../evaluation/question_file.js";
import type { EditRecordLine } from "../evaluation/records.js";
import { computeMetrics } from "../metrics/registry.js";
import { Tokenizer } from "../tokenizers/tokenizer.js";
import type { OnEvent } from "../training/events.js";
import { openKnownAnswers } from "./answer_cache.js";
import {
  type EpisodeModels,
  episodesOf,
  findEditedModels,
  isAskedOnTheWay,
  loadedModels,
} from "./edited_models.js";
import { modelLabel } from "./grid.js";
import { ContentHashes } from "./identity.js";
import type { AnsweringChoice, EngineChoice } from "./job.js";
import { memoryShares } from "./memory_budget.js";
import { NO_EDITOR } from "./questions_run.js";
import { openSession, type Session } from "./session.js";

export interface EditedRun {
  /** Of models that were edited elsewhere. */
  readonly directory: string;
  readonly name: string;
  readonly questions: readonly QuestionEpisode[];
  /** The model that they were made from. */
  readonly baseFolder: string;
  readonly engine: EngineChoice;
  readonly answering: AnsweringChoice;
  /** How texts are cut for the model, and how it is measured, for a data set by its name in the questions. */
  readonly settingsOf: (dataset: string) => {
    readonly text: TextConfig;
    readonly evaluation: EvaluationConfig;
  };
}

export interface Elsewhere {
  readonly record: ElsewhereRecord;
  readonly lines: readonly AnswerLine[];
}

/**
 * Asks models that were edited elsewhere and their base everything that an editor is asked: free generation and teacher
 * forcing, with KL where an answer should have stayed.
 * @throws SeprogError CHECKPOINT_INVALID for missing model folders and models of another form than the base; as the engine
 */
export async function evaluateEdited(
  run: EditedRun,
  { signal, onEvent }: { readonly signal?: AbortSignal; readonly onEvent?: OnEvent },
): Promise<Elsewhere> {
  const startedAt = new Date();
  const cells = questionCells(run.questions);
  const models = findEditedModels(run.directory, cells);
  await refuseOtherTokenizers(models, run.baseFolder);
  const contents = new ContentHashes();
  const checksums: Record<string, string> = {};
  const figures: ElsewhereCell[] = [];
  const lines: AnswerLine[] = [];
  const calls = { ...(signal && { signal }), ...(onEvent && { onEvent }) };
  let base: { readonly name: string; readonly checksum: string } | null = null;
  for (const cell of cells) {
    const { text, evaluation } = run.settingsOf(cell.dataset);
    await using session = await openSession({
      engine: run.engine,
      modelFolder: run.baseFolder,
      text,
      editor: NO_EDITOR,
    });
    base = { name: modelLabel(run.baseFolder), checksum: session.base.info.checksum };
    const { cacheDirectory, memoryBudgetBytes } = run.answering;
    const known = await openKnownAnswers(
      session.engine,
      { checksum: await contents.model(run.baseFolder) },
      session.base,
      cacheDirectory,
    );
    const memory = await memoryShares(session.engine, { bytes: memoryBudgetBytes });
    const asking = {
      budget: new BatchBudget({ ...memory, mostRows: evaluation.batchSize }),
      maxNewTokens: evaluation.maxNewTokens,
      known,
    };
    const records = await askCell(cell, models, session, asking, checksums, calls);
    const schedule = scheduleName(cell.sequential);
    const all = computeMetrics(records, {
      resamples: evaluation.bootstrap.samples,
      level: evaluation.bootstrap.level,
    });
    figures.push({
      dataset: cell.dataset,
      K: cell.K,
      schedule,
      episodes: cell.episodes.length,
      nEdits: records.length,
      figures: Object.fromEntries(Object.entries(all).filter(([name]) => !/^(gate|selection)/.test(name))),
    });
    const place = { method: run.name, dataset: cell.dataset, K: cell.K, seed: null, schedule };
    lines.push(...records.flatMap((line) => answerLines(line, place)));
  }
  const same = Object.entries(checksums).filter(([, checksum]) => checksum === base?.checksum);
  return {
    record: {
      schemaVersion: 1,
      of: "edited",
      name: run.name,
      base,
      questions: questionsChecksum(run.questions),
      answers: checksums,
      notes: same.map(([folder]) => `${folder} holds the base's own weights: nothing is edited in it.`),
      cells: figures,
      startedAt: startedAt.toISOString(),
      wallMs: Date.now() - startedAt.getTime(),
    },
    lines,
  };
}

async function askCell(
  cell: QuestionCell,
  models: EpisodeModels,
  { engine, base, codec }: Session,
  { known, ...asking }: Omit<AskOptions, "signal"> & { readonly known: KnownAnswers },
  checksums: Record<string, string>,
  calls: { readonly signal?: AbortSignal; readonly onEvent?: OnEvent },
): Promise<EditRecordLine[]> {
  const folders = cell.episodes.flatMap((episode) => models.get(episode) ?? []);
  const subject = loadedModels(engine, base, folders, (folder, { info }) => {
    checksums[folder] = info.checksum;
  });
  const baseAnswers = new BaseAnswers(base, codec, asking, known);
  // Asked after the last edit, a sequence's last model is all that is needed.
  const sequential = isAskedOnTheWay(cell) ? cell.sequential : undefined;
  const records: EditRecordLine[] = [];
  const episodes = episodesOf(cell);
  for await (const { lines } of evaluate(
    { subject, episodes, codec, baseAnswers, sequential },
    { ...asking, ...calls },
  ))
    records.push(...lines);
  return records;
}

/**
 * An edited folder may come without a tokenizer; with one, the questions must be the same ids as in the base. Its file may
 * be written otherwise: libraries add fields when they save.
 */
async function refuseOtherTokenizers(models: EpisodeModels, baseFolder: string): Promise<void> {
  const expected = await Tokenizer.load(baseFolder);
  const folders = new Map(
    [...models].flatMap(([episode, own]) => own.map((folder) => [folder, episode] as const)),
  );
  for (const [folder, { questions }] of folders) {
    const names = await readdir(folder);
    if (!names.some((name) => /^(tokenizer\.json|spiece\.model|vocab\.json|vocab\.txt)$/.test(name)))
      continue;
    const own = await Tokenizer.load(folder);
    const other = questions.find(({ x }) => String(own.encode(x)) !== String(expected.encode(x)));
    if (other === undefined) continue;
    throw new SeprogError(
      "CHECKPOINT_INVALID",
      `expected the tokenizer of ${baseFolder} in ${folder} but received one with other ids for ${JSON.stringify(other.x)}; name the model that it was made from with --model`,
    );
  }
}

/** What a folder of models is called where nothing else is said. */
export const folderName = (directory: string): string => basename(resolve(directory));
