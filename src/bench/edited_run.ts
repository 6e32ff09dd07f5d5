import { readdir } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { SeprogError } from "../errors.js";
import type { AskOptions } from "../evaluation/answers.js";
import { BaseAnswers } from "../evaluation/base_answers.js";
import { BatchBudget } from "../evaluation/batch_budget.js";
import { evaluate } from "../evaluation/evaluate.js";
import type { KnownAnswers } from "../evaluation/known_answers.js";
import { type QuestionCell, questionCells } from "../evaluation/question_file.js";
import type { EditRecordLine, Origin, Work } from "../evaluation/records.js";
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
import {
  askedBase,
  type Elsewhere,
  type ElsewhereCell,
  type ElsewhereRun,
  elsewhereCell,
} from "./elsewhere.js";
import { describeEnvironment, describeMachine, type EngineFacts } from "./environment.js";
import { ContentHashes } from "./identity.js";
import { memoryShares } from "./memory_budget.js";
import { engineFacts } from "./probe_run.js";
import { NO_EDITOR } from "./questions_run.js";
import { openSession, type Session } from "./session.js";

export interface EditedRun extends ElsewhereRun {
  /** Of models that were edited elsewhere. */
  readonly directory: string;
  /** The model that they were made from. */
  readonly baseFolder: string;
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
  const cells = questionCells(run.questions);
  const models = findEditedModels(run.directory, cells);
  await refuseOtherTokenizers(models, run.baseFolder);
  const contents = new ContentHashes();
  const calls = { ...(signal && { signal }), ...(onEvent && { onEvent }) };
  const done: ElsewhereCell[] = [];
  let facts: EngineFacts | undefined;
  for (const cell of cells) {
    const startedAt = new Date();
    const startedMs = performance.now();
    const { text, evaluation } = run.settingsOf(cell.dataset);
    await using session = await openSession({
      engine: run.engine,
      modelFolder: run.baseFolder,
      text,
      editor: NO_EDITOR,
    });
    facts ??= await engineFacts(session.engine);
    const { cacheDirectory, memoryBudgetBytes } = run.answering;
    const known = await openKnownAnswers(
      session.engine,
      { checksum: await contents.model(run.baseFolder) },
      session.base,
      cacheDirectory,
    );
    const memory = await memoryShares(session.engine, { bytes: memoryBudgetBytes });
    const budget = new BatchBudget({ ...memory, mostRows: evaluation.batchSize });
    const asking = { budget, maxNewTokens: evaluation.maxNewTokens, known };
    const { sources, lines, work } = await askCell(cell, models, session, asking, calls);
    const base = await askedBase(run.baseFolder, session.base.info.checksum, session.engine);
    const untouched = sources.filter(({ checksum }) => checksum === base.checksum);
    done.push(
      elsewhereCell({
        name: run.name,
        cell,
        origin: { kind: "edited", sources: [...sources] },
        base,
        lines,
        evaluation,
        work: { ...work, wallMs: performance.now() - startedMs, engineMs: session.engine.busyMs },
        notes: untouched.map(({ path }) => `${path} holds the base's own weights: nothing is edited in it.`),
        startedAt,
      }),
    );
  }
  return { cells: done, environment: facts === undefined ? describeMachine() : describeEnvironment(facts) };
}

interface AskedCell {
  /** The models that were asked, in the order of episodes. */
  readonly sources: Origin["sources"];
  readonly lines: readonly EditRecordLine[];
  readonly work: Omit<Work, "wallMs" | "engineMs">;
}

async function askCell(
  cell: QuestionCell,
  models: EpisodeModels,
  { engine, base, codec }: Session,
  { known, ...asking }: Omit<AskOptions, "signal"> & { readonly known: KnownAnswers },
  calls: { readonly signal?: AbortSignal; readonly onEvent?: OnEvent },
): Promise<AskedCell> {
  const folders = cell.episodes.flatMap((episode) => models.get(episode) ?? []);
  const sources: Origin["sources"] = [];
  const subject = loadedModels(engine, base, folders, (path, { info }) => {
    sources.push({ path, checksum: info.checksum });
  });
  const baseAnswers = new BaseAnswers(base, codec, asking, known);
  // Asked after the last edit, a sequence's last model is all that is needed.
  const sequential = isAskedOnTheWay(cell) ? cell.sequential : undefined;
  const lines: EditRecordLine[] = [];
  let [questions, questionsAsked] = [0, 0];
  const episodes = episodesOf(cell);
  for await (const episode of evaluate(
    { subject, episodes, codec, baseAnswers, sequential },
    { ...asking, ...calls },
  )) {
    lines.push(...episode.lines);
    questions += episode.outputs.length;
    questionsAsked += episode.asked;
  }
  const { asked: baseAsked, reused: baseReused } = known;
  const { bytes: memoryBudgetBytes, mostRows: mostRowsPerCall } = asking.budget;
  return {
    sources,
    lines,
    work: { questions, questionsAsked, baseAsked, baseReused, memoryBudgetBytes, mostRowsPerCall },
  };
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
