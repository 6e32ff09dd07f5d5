import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { type Predictions, predictionLines, readPredictions } from "../evaluation/predictions.js";
import { present } from "../evaluation/present.js";
import { questionCells } from "../evaluation/question_file.js";
import { answersTo } from "../training/base_predictions.js";
import type { OnEvent } from "../training/events.js";
import { openKnownAnswers } from "./answer_cache.js";
import { type AskedBase, askedBase, type Elsewhere, type ElsewhereRun, elsewhereCell } from "./elsewhere.js";
import { describeEnvironment, describeMachine, type EngineFacts } from "./environment.js";
import { ContentHashes } from "./identity.js";
import { engineFacts } from "./probe_run.js";
import { NO_EDITOR } from "./questions_run.js";
import { openSession } from "./session.js";

export interface PredictionsRun extends ElsewhereRun {
  /** The answers' file. */
  readonly file: string;
  /** A model that is asked what it says before any edit; without it the file's own base answers count, if it has any. */
  readonly baseFolder?: string | undefined;
}

const NO_BASE =
  "The answers come without those of the unedited model, so that DD, DDhard and what else is compared with it are not known; put them into `base` or name the model with --model.";
const OWN_BASE = "DD is against what the same system said before any edit, as the file of answers has it.";
const TEXT_ALONE =
  "Judged by text alone: teacher forcing, −ln p and KL are n/a, for they take the model itself.";

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
  const checksum = createHash("sha256")
    .update(await readFile(run.file))
    .digest("hex");
  const baseNotes = predictions.base === null ? [NO_BASE] : asked === null ? [OWN_BASE] : [];
  const cells = questionCells(run.questions).map((cell) =>
    elsewhereCell({
      name: run.name,
      cell,
      origin: { kind: "predictions", sources: [{ path: run.file, checksum }] },
      base: asked?.base ?? null,
      lines: predictionLines(cell, predictions),
      evaluation: run.settingsOf(cell.dataset).evaluation,
      work: null,
      notes: [TEXT_ALONE, ...baseNotes],
      startedAt,
    }),
  );
  return { cells, environment: asked === null ? describeMachine() : describeEnvironment(asked.facts) };
}

interface BaseSaid {
  readonly base: AskedBase;
  readonly facts: EngineFacts;
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
  let said: Omit<BaseSaid, "answers"> | undefined;
  for (const dataset of new Set(questions.map((episode) => episode.dataset))) {
    const { text, evaluation } = settingsOf(dataset);
    await using session = await openSession({ engine, modelFolder: folder, text, editor: NO_EDITOR });
    const { codec } = session;
    said ??= {
      base: await askedBase(folder, session.base.info.checksum, session.engine),
      facts: await engineFacts(session.engine),
    };
    const known = await openKnownAnswers(session.engine, model, session.base, answering.cacheDirectory);
    const base = known.over(session.base);
    const own = questions.filter((episode) => episode.dataset === dataset).flatMap((one) => one.questions);
    const { batchSize, maxNewTokens } = evaluation;
    const answerOf = await answersTo(
      base,
      own.map(({ x }) => x),
      codec,
      { batchSize, maxNewTokens, ...calls },
    );
    for (const { id, x } of own) answers.set(id, answerOf.get(x) ?? "");
  }
  return { ...present(said), answers };
}
