import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { isTrained } from "../editors/registry.js";
import { SeprogError } from "../errors.js";
import { choicesOf, type Receipt } from "../evaluation/receipt.js";
import { trainingDtype } from "../models/base_dtype.js";
import { RUN_FILES } from "../report/run_data.js";
import type { LoopEvent } from "../training/events.js";
import { editorHash, findByFingerprint } from "../training/trained_editors.js";
import { type CellTask, datasetLabel } from "./grid.js";
import { ContentHashes, cellHash, editorOrigin, modelChoice } from "./identity.js";
import { runJob } from "./job_process.js";
import { judge, type Verdict } from "./verify_compare.js";
import { chooseRecords, type RecordChoice, readRecord, readTasks } from "./verify_record.js";

export interface VerifyOptions extends RecordChoice {
  /** A cell's folder, its result.json, or a run. */
  readonly record: string;
  /** Folder of the trained editor, where it is not among those of the run. */
  readonly editorDirectory?: string | undefined;
  /** Where the run kept its editors, if not in its folder. */
  readonly editorsDirectory?: string | undefined;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: VerifyEvent) => void;
  /** Program of the processes; default: the worker of this package. */
  readonly worker?: string;
}

export type VerifyEvent =
  | { readonly type: "job"; readonly label: string; readonly event: LoopEvent }
  | { readonly type: "verdict"; readonly verdict: Verdict; readonly done: number; readonly total: number };

/**
 * Replays records, each in a process of its own and on the machine, threads, matrix library and kernels that it names,
 * and says whether the outputs are the same. The run is only read.
 * @throws SeprogError DATA_INVALID for records without a receipt and where the run's configuration or data is not what
 *   was measured; CHECKPOINT_INVALID where the trained editor is gone; as the measurement throws
 */
export async function verifyRecords(options: VerifyOptions): Promise<Verdict[]> {
  const { runFolder, cells } = await chooseRecords(options.record, options);
  const tasks = await readTasks(runFolder);
  const verdicts: Verdict[] = [];
  for (const cell of cells) {
    const task = tasks.get(cell);
    if (task === undefined)
      throw new SeprogError(
        "DATA_INVALID",
        `expected ${cell} in ${join(runFolder, RUN_FILES.config)} but it is of a suite that ran in the folder earlier; run that suite again`,
      );
    const verdict = await replay(runFolder, task, options);
    verdicts.push(verdict);
    options.onEvent?.({ type: "verdict", verdict, done: verdicts.length, total: cells.length });
  }
  return verdicts;
}

async function replay(runFolder: string, task: CellTask, options: VerifyOptions): Promise<Verdict> {
  const record = await readRecord(runFolder, task.name);
  const { receipt } = record;
  const contents = new ContentHashes();
  await refuseOtherData(task, receipt, contents);
  const model = await modelChoice(task.model, task.baseDtype, contents);
  const trainedOn = await modelChoice(task.model, trainingDtype(task.baseDtype), contents);
  const editorDirectory = await editorOf(receipt, task, runFolder, options);
  const origin = editorHash(await editorOrigin(task.editor, task.text, trainedOn, contents));
  const { editorDirectory: given, signal, worker, onEvent } = options;
  const scratch = await mkdtemp(join(tmpdir(), "seprog-verify-"));
  try {
    const episodes = `${datasetLabel(task.dataset)}-K${task.K}.jsonl`;
    const [kept, copy] = [join(runFolder, RUN_FILES.episodes), join(scratch, RUN_FILES.episodes)];
    await mkdir(copy);
    if (existsSync(join(kept, episodes))) await copyFile(join(kept, episodes), join(copy, episodes));
    await runJob(
      {
        kind: "cell",
        engine: {
          device: receipt.machine.device,
          threads: receipt.machine.threads,
          deterministic: receipt.deterministic,
        },
        task: { ...task, evaluation: { ...task.evaluation, timing: { warmUps: 0, repetitions: 1 } } },
        model,
        editorDirectory,
        configHash: await cellHash(
          task,
          given === undefined ? origin : `${origin} ${resolve(given)}`,
          contents,
        ),
        episodesDirectory: copy,
        outDirectory: join(scratch, RUN_FILES.cells, task.name),
      },
      {
        environment: choicesOf(receipt),
        ...(signal && { signal }),
        ...(worker !== undefined && { worker }),
        onEvent: (event) => onEvent?.({ type: "job", label: task.name, event }),
      },
    );
    return judge(task.name, record, await readRecord(scratch, task.name));
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** @throws SeprogError DATA_INVALID where the task's data is not what the receipt names */
export async function refuseOtherData(
  task: Pick<CellTask, "name" | "dataset">,
  receipt: Receipt,
  contents: ContentHashes,
): Promise<void> {
  const now = await contents.dataset(task.dataset);
  if (now === receipt.dataHash) return;
  throw new SeprogError(
    "DATA_INVALID",
    `expected the data that ${task.name} was measured on (SHA-256 ${receipt.dataHash}) in ${task.dataset} but received other data (${now}); put the old files back or measure the cell anew`,
  );
}

/** The folder of the very editor that the record was measured with; null where nothing is learned. */
async function editorOf(
  { editorFingerprint }: Receipt,
  task: CellTask,
  runFolder: string,
  { editorDirectory, editorsDirectory }: VerifyOptions,
): Promise<string | null> {
  if (editorDirectory !== undefined) return resolve(editorDirectory);
  if (!isTrained(task.editor.method.editor) || editorFingerprint === null) return null;
  const root = editorsDirectory ?? join(runFolder, "editors");
  const found = await findByFingerprint(editorFingerprint, [root]);
  if (found !== undefined) return found;
  throw new SeprogError(
    "CHECKPOINT_INVALID",
    `expected the trained editor ${editorFingerprint} of ${task.name} in ${root} or among the bundled ones but found none; name its folder with --editor, or that of all editors with --editors`,
  );
}
