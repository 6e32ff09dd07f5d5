import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { resolveModel } from "../config/paths.js";
import type { SuiteConfig } from "../config/suite.js";
import { EDITORS, type EditorSpec } from "../editors/registry.js";
import { nameQuestions, type QuestionEpisode } from "../evaluation/question_file.js";
import type { OnEvent } from "../training/events.js";
import { openKnownAnswers } from "./answer_cache.js";
import { cellEpisodes } from "./cell_episodes.js";
import { datasetLabel } from "./grid.js";
import { ContentHashes } from "./identity.js";
import type { AnsweringChoice, EngineChoice } from "./job.js";
import { openSession } from "./session.js";

/** Where no editor of ours is asked: one whose edits are written as question and answer. */
export const NO_EDITOR: EditorSpec = EDITORS.lookup.spec.parse({ kind: "lookup" });

export interface QuestionsOptions {
  readonly engine: EngineChoice;
  readonly answering: AnsweringChoice;
  readonly signal?: AbortSignal;
  readonly onEvent?: OnEvent;
}

/**
 * The questions of every data set and K of a suite: what `evaluate` asks of an editor that has not seen the data. The
 * suite's base models say which labels change an answer.
 * @throws SeprogError as data and models that cannot be read
 */
export async function drawQuestions(
  suite: SuiteConfig,
  { engine, answering, ...calls }: QuestionsOptions,
): Promise<QuestionEpisode[]> {
  const contents = new ContentHashes();
  const drawn: QuestionEpisode[] = [];
  const scratch = await mkdtemp(join(tmpdir(), "seprog-questions-"));
  try {
    for (const { name: dataset, model: name, text, evaluation, k } of suite.datasets) {
      const folder = resolveModel(name);
      const model = { name, folder, checksum: await contents.model(folder) };
      await using session = await openSession({ engine, modelFolder: folder, text, editor: NO_EDITOR });
      const known = await openKnownAnswers(session.engine, model, session.base, answering.cacheDirectory);
      const asked = { ...session, base: known.over(session.base) };
      for (const K of k) {
        const task = { dataset, K, text };
        const { episodes } = await cellEpisodes(
          { task, evaluation, model, known: [], session: asked, contents, directory: scratch },
          calls,
        );
        drawn.push(...nameQuestions(datasetLabel(dataset), episodes, evaluation.sequential));
      }
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return drawn;
}
