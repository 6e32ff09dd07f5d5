import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { type EvaluationConfig, scheduleName } from "../config/evaluation.js";
import type { TextConfig } from "../config/suite.js";
import type { AnswerLine } from "../evaluation/answer_lines.js";
import type { ElsewhereCell } from "../evaluation/elsewhere_record.js";
import { type Predictions, readPredictions, scorePredictions } from "../evaluation/predictions.js";
import { type QuestionEpisode, questionCells, questionsChecksum } from "../evaluation/question_file.js";
import { answersTo } from "../training/base_predictions.js";
import type { OnEvent } from "../training/events.js";
import { openKnownAnswers } from "./answer_cache.js";
import type { Elsewhere } from "./edited_run.js";
import { modelLabel } from "./grid.js";
import { ContentHashes } from "./identity.js";
import type { AnsweringChoice, EngineChoice } from "./job.js";
import { NO_EDITOR } from "./questions_run.js";
import { openSession } from "./session.js";

export interface PredictionsRun {
  /** The answers' file. */
  readonly file: string;
  readonly name: string;
  readonly questions: readonly QuestionEpisode[];
  /** A model that is asked what it says before any edit; without it the file's own base answers count, if it has any. */
  readonly baseFolder?: string | undefined;
  readonly engine: EngineChoice;
  readonly answering: AnsweringChoice;
  readonly settingsOf: (dataset: string) => {
    readonly text: TextConfig;
    readonly evaluation: EvaluationConfig;
  };
}

const NO_BASE =
  "The answers come without those of the unedited model, so that DD, DDhard and what else is compared with it are not known; put them into `base` or name the model with --model.";

/**
 * Scores answers that any system gave. No engine is needed unless a base model is named.
 * @throws SeprogError DATA_INVALID listing what is wrong with the answers; as the engine
 */
export async function evaluatePredictions(
  run: PredictionsRun,
  calls: { readonly signal?: AbortSignal; readonly onEvent?: OnEvent },
): Promise<Elsewhere> {
  const startedAt = new Date();
  const given = await readPredictions(run.file, run.questions);
  const asked = run.baseFolder === undefined ? null : await askBase(run, run.baseFolder, calls);
  const predictions: Predictions = { answers: given.answers, base: asked?.answers ?? given.base };
  const cells: ElsewhereCell[] = [];
  const lines: AnswerLine[] = [];
  for (const cell of questionCells(run.questions)) {
    const { bootstrap } = run.settingsOf(cell.dataset).evaluation;
    const scored = scorePredictions(run.name, cell, predictions, {
      resamples: bootstrap.samples,
      level: bootstrap.level,
    });
    cells.push({
      dataset: cell.dataset,
      K: cell.K,
      schedule: scheduleName(cell.sequential),
      episodes: cell.episodes.length,
      nEdits: scored.nEdits,
      figures: scored.figures,
    });
    lines.push(...scored.lines);
  }
  return {
    record: {
      schemaVersion: 1,
      of: "predictions",
      name: run.name,
      base: asked && { name: modelLabel(asked.folder), checksum: asked.checksum },
      questions: questionsChecksum(run.questions),
      answers: createHash("sha256")
        .update(await readFile(run.file))
        .digest("hex"),
      notes: predictions.base === null ? [NO_BASE] : [],
      cells,
      startedAt: startedAt.toISOString(),
      wallMs: Date.now() - startedAt.getTime(),
    },
    lines,
  };
}

interface BaseSaid {
  readonly folder: string;
  readonly checksum: string;
  readonly answers: ReadonlyMap<string, string>;
}

/** What the base model says to every question; a text that comes again is asked once. */
async function askBase(
  { questions, engine, answering, settingsOf }: PredictionsRun,
  folder: string,
  calls: { readonly signal?: AbortSignal; readonly onEvent?: OnEvent },
): Promise<BaseSaid> {
  const model = { folder, checksum: await new ContentHashes().model(folder) };
  const answers = new Map<string, string>();
  let checksum = "";
  for (const dataset of new Set(questions.map((episode) => episode.dataset))) {
    const { text, evaluation } = settingsOf(dataset);
    await using session = await openSession({ engine, modelFolder: folder, text, editor: NO_EDITOR });
    const { codec } = session;
    checksum = session.base.info.checksum;
    const known = await openKnownAnswers(session.engine, model, session.base, answering.cacheDirectory);
    const base = known.over(session.base);
    const own = questions.filter((episode) => episode.dataset === dataset).flatMap((one) => one.questions);
    const { batchSize, maxNewTokens } = evaluation;
    const said = await answersTo(
      base,
      own.map(({ x }) => x),
      codec,
      { batchSize, maxNewTokens, ...calls },
    );
    for (const { id, x } of own) answers.set(id, said.get(x) ?? "");
  }
  return { folder, checksum, answers };
}
