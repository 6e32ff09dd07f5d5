import { readdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { engineSpec } from "../config/editor_spec.js";
import { didYouMean } from "../config/suggest.js";
import type { SuiteConfig } from "../config/suite.js";
import { loadDataset } from "../data/registry.js";
import { isTrained, needsCalibration } from "../editors/registry.js";
import { SeprogError } from "../errors.js";
import { writeFolderAtomically, writeJsonAtomically } from "../files.js";
import type { OnEvent } from "../training/events.js";
import { trainEditor } from "../training/train_editor.js";
import { editorHash, TRAINED_FILE, type TrainedEditor } from "../training/trained_editors.js";
import { openKnownAnswers } from "./answer_cache.js";
import { type CellTask, suiteCells } from "./grid.js";
import { ContentHashes, editorOrigin, modelChoice } from "./identity.js";
import type { EngineChoice, TrainingStop, TrainJob } from "./job.js";
import { openSession } from "./session.js";

export interface TrainRunOptions {
  /** Default: the suite's first method. */
  readonly methodName?: string | undefined;
  /** Default: the suite's first data set. */
  readonly dataset?: string | undefined;
  readonly outDirectory: string;
  readonly engine: EngineChoice;
  /** Do not go on from a checkpoint. */
  readonly fresh: boolean;
  readonly signal?: AbortSignal;
  readonly onEvent?: OnEvent;
}

/** Trains one editor of a suite. Throws CONFIG_INVALID for an unknown method or data set, else as `trainEditor`. */
export async function trainFromSuite(suite: SuiteConfig, options: TrainRunOptions): Promise<TrainedEditor> {
  const outDirectory = resolve(options.outDirectory);
  await refuseForeignFolder(outDirectory);
  const { editor: task, model: name, baseDtype, text } = chooseCell(suite, options);
  if (!isTrained(task.method.editor))
    throw new SeprogError(
      "CONFIG_INVALID",
      `expected a method that learns something for \`--method\` but received ${task.methodName}, which edits without any training; measure it with seprog-native bench`,
    );
  const contents = new ContentHashes();
  const model = await modelChoice(name, baseDtype, contents);
  const outcome = await trainToFolder(
    {
      kind: "train",
      engine: options.engine,
      methodName: task.methodName,
      origin: await editorOrigin(task, text, model, contents),
      model,
      outDirectory,
      workDirectory: `${outDirectory}.training`,
    },
    options,
  );
  if ("overBudget" in outcome)
    throw new SeprogError("INTERNAL", "expected a training without a budget to end");
  return outcome.trained;
}

/** The folder is replaced as a whole: never one that holds something else. */
async function refuseForeignFolder(folder: string): Promise<void> {
  const names: string[] = await readdir(folder).catch(() => []);
  if (names.length === 0 || names.includes(TRAINED_FILE)) return;
  throw new SeprogError(
    "CONFIG_INVALID",
    `expected a new folder or one with a trained editor for \`--out\` but received ${folder}, which holds other files`,
  );
}

function chooseCell(suite: SuiteConfig, { methodName, dataset }: TrainRunOptions): CellTask {
  const cells = suiteCells(suite);
  const pick = (option: string, wanted: string | undefined, known: readonly string[]): void => {
    if (wanted === undefined || known.includes(wanted)) return;
    throw new SeprogError(
      "CONFIG_INVALID",
      `expected one of ${known.join(", ")} for \`--${option}\` but received "${wanted}"${didYouMean(wanted, known)}`,
    );
  };
  pick("method", methodName, [...new Set(cells.map(({ editor }) => editor.methodName))]);
  pick(
    "dataset",
    dataset,
    suite.datasets.map(({ name }) => name),
  );
  const found = cells.find(
    (cell) =>
      (methodName === undefined || cell.editor.methodName === methodName) &&
      (dataset === undefined || cell.dataset === dataset),
  );
  if (found === undefined)
    throw new SeprogError("CONFIG_INVALID", "expected at least one method in `methods` but received none");
  return found;
}

/** A trained editor, or where its training stood when its time was over. */
export type TrainOutcome = { readonly trained: TrainedEditor } | { readonly overBudget: TrainingStop };

/**
 * Trains one editor in this process. The folder appears complete, by rename; a stopped training can be resumed, also
 * one that was stopped by its budget.
 */
export async function trainToFolder(
  job: TrainJob,
  { fresh = false, signal, onEvent }: { fresh?: boolean; signal?: AbortSignal; onEvent?: OnEvent },
): Promise<TrainOutcome> {
  const { method, datasets, seed, text } = job.origin;
  await using session = await openSession({
    engine: job.engine,
    modelFolder: job.model.folder,
    dtype: job.model.dtype,
    text,
    editor: method.editor,
  });
  const { engine, base, codec, tokenizer } = session;
  const editor = await engine.createEditor(engineSpec(method.editor, seed), base);
  const answers = await openKnownAnswers(engine, job.model, base, job.answering?.cacheDirectory ?? null);
  const record = await trainEditor(
    {
      editor,
      base: answers.over(base),
      datasets: await Promise.all(datasets.map((name) => loadDataset(name, { tokenizer }))),
      codec,
      training: method.training,
      calibrated: needsCalibration(method.editor),
      seed,
    },
    {
      directory: job.workDirectory,
      identity: editorHash(job.origin),
      resume: !fresh,
      ...(job.budgetMinutes !== undefined && { budgetMs: job.budgetMinutes * 60_000 }),
      ...(signal && { signal }),
      ...(onEvent && { onEvent }),
    },
  );
  if (record.reason === "over-budget")
    return { overBudget: { step: record.steps, steps: method.training.steps } };
  const trained: TrainedEditor = {
    schemaVersion: 1,
    ...job.origin,
    methodName: job.methodName,
    model: { name: job.model.name, checksum: job.model.checksum },
    fingerprint: await editor.fingerprint(),
    training: {
      steps: record.steps,
      reason: record.reason,
      bestStep: record.bestStep,
      bestLoss: record.bestLoss,
      wallMs: record.wallMs,
    },
  };
  await writeFolderAtomically(job.outDirectory, async (folder) => {
    await editor.save(folder);
    await writeJsonAtomically(join(folder, TRAINED_FILE), trained);
  });
  await rm(job.workDirectory, { recursive: true, force: true });
  return { trained };
}
