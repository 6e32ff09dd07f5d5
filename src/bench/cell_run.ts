import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { engineSpec } from "../config/editor_spec.js";
import { scheduleName } from "../config/evaluation.js";
import type { Episode } from "../data/types.js";
import { type EditorSpec, hasMemory, trainingSpec, useOf } from "../editors/registry.js";
import { agreementWithFp32 } from "../evaluation/agreement.js";
import { evaluateCell } from "../evaluation/cell.js";
import type { CellName } from "../evaluation/cell_figures.js";
import { requestsWithOutScope } from "../evaluation/edit_time_questions.js";
import type { CellResult, EditRecordLine } from "../evaluation/records.js";
import { editRequests, type Subject } from "../evaluation/scorers.js";
import { editorSubject } from "../evaluation/subject.js";
import { writeJsonAtomically } from "../files.js";
import type { EditedModel, Editor, Model } from "../native/engine.js";
import { RUN_FILES } from "../report/run_data.js";
import { predictBase } from "../training/base_predictions.js";
import { toBatch } from "../training/episode_source.js";
import type { OnEvent } from "../training/events.js";
import { readModelFigures } from "../training/model_figures.js";
import { readTrained } from "../training/trained_editors.js";
import { openKnownAnswers } from "./answer_cache.js";
import { cellEpisodes } from "./cell_episodes.js";
import { fp32Lines } from "./fp32_lines.js";
import { datasetLabel, modelLabel } from "./grid.js";
import { ContentHashes } from "./identity.js";
import type { CellJob } from "./job.js";
import { LineFile } from "./line_file.js";
import { memoryShares } from "./memory_budget.js";
import { receiptBasis, tokenizerHash } from "./receipt.js";
import { openSession } from "./session.js";
import { tuneOption } from "./tune_run.js";

/** Measures one cell in this process: edits.jsonl as it goes, result.json last and by rename. */
export async function measureCell(
  job: CellJob,
  { signal, onEvent }: { signal?: AbortSignal; onEvent?: OnEvent },
): Promise<CellResult> {
  const startedMs = performance.now();
  const { task } = job;
  const { evaluation, text } = task;
  const { editor: written } = task.editor.method;
  const trained = job.editorDirectory === null ? null : await readTrained(job.editorDirectory);
  const { seed, datasets: known } = trained ?? task.editor;
  await using session = await openSession({
    engine: job.engine,
    modelFolder: job.model.folder,
    dtype: job.model.dtype,
    text,
    editor: written,
  });
  const { engine, base, codec } = session;
  const { dtype = "fp32" } = job.model;
  const onlyAnswers = dtype === "int8";
  const calls = { ...(signal && { signal }), ...(onEvent && { onEvent }) };
  const openEditor = async (spec: EditorSpec, onto: Model = base): Promise<Editor> => {
    const editor = await engine.createEditor(engineSpec(spec, seed), onto);
    if (job.editorDirectory !== null) await editor.restore(job.editorDirectory);
    return editor;
  };
  const subjectOf = (editor: Editor, spec: EditorSpec, onto: Model = base): Subject<EditedModel> =>
    editorSubject(editor, onto, evaluation.gate, useOf(spec), hasMemory(spec));

  const { dataset, K } = task;
  const contents = new ContentHashes();
  const { answering, processes } = job;
  const answers = await openKnownAnswers(engine, job.model, base, answering?.cacheDirectory ?? null);
  const asking = {
    known: answers,
    memory: await memoryShares(engine, { bytes: answering?.memoryBudgetBytes, processes }),
  };
  const { data, episodes } = await cellEpisodes(
    {
      task,
      evaluation,
      model: job.model,
      known,
      session: { ...session, base: answers.over(base) },
      contents,
      directory: job.episodesDirectory,
    },
    calls,
  );
  const [first] = episodes;

  const requestsOf = useOf(written).needsOutScope
    ? requestsWithOutScope(data.splits.train, codec)
    : (edits: Episode) => editRequests(edits, codec);
  const tuned =
    task.tune &&
    (await tuneOption(
      {
        tune: task.tune,
        records: await predictBase(answers.over(base), data.splits.validation, codec, calls),
        ...asking,
        K,
        evaluation,
        codec,
        requestsOf,
        withSubject: async (spec, work) => {
          await using candidate = await openEditor(spec);
          await work(subjectOf(candidate, spec));
        },
      },
      calls,
    ));
  const used = tuned ? tuned.editor : written;
  const editor = await openEditor(used);

  // The cost of a step does not depend on the weights: a fresh editor keeps the measured one untouched.
  const trainStep =
    trained && !onlyAnswers
      ? {
          scratch: await engine.createEditor(engineSpec(trainingSpec(used), seed), base),
          batch: await toBatch({ K, episodes: [first] }, codec),
        }
      : null;
  const name: CellName = {
    method: task.editor.methodName,
    variant: useOf(used).variant,
    sweep: task.sweep,
    schedule: scheduleName(evaluation.sequential),
    dataset: datasetLabel(task.dataset),
    model: modelLabel(job.model.name),
    K: task.K,
    seed: task.seed,
    configHash: job.configHash,
  };
  const editorFingerprint = trained && (await editor.fingerprint());
  await rm(job.outDirectory, { recursive: true, force: true });
  await mkdir(job.outDirectory, { recursive: true });
  await using lines = await LineFile.open(join(job.outDirectory, RUN_FILES.edits));
  const said: EditRecordLine[] = [];
  const measured = await evaluateCell(
    {
      name,
      subject: subjectOf(editor, used),
      episodes,
      codec,
      evaluation,
      trainStep,
      requestsOf,
      ...asking,
      tuning: tuned ? tuned.tuning : null,
      provenance: {
        modelChecksum: base.info.checksum,
        modelRecord: await readModelFigures(job.model.folder),
        training: trained ? "trained" : "untrained",
        editorFingerprint,
        device: engine.device,
        threads: engine.threads,
        precision: dtype,
      },
      receipt: await receiptBasis(engine, {
        configHash: job.configHash,
        dataHash: await contents.dataset(dataset),
        tokenizerHash: await tokenizerHash(job.model.folder),
        modelChecksum: base.info.checksum,
        editorFingerprint,
        seed: task.seed,
      }),
      timeSpent: () => ({ wallMs: performance.now() - startedMs, engineMs: engine.busyMs }),
      processPeakBytes: async () => (await engine.memoryStats()).processPeakBytes,
    },
    {
      ...calls,
      onLine: (line) => {
        said.push(line);
        return lines.write(line);
      },
    },
  );
  await lines.complete();
  const withFp32 = async () => {
    await using wide = await engine.loadModel(job.model.folder, { addPadToken: true });
    const asked = { episodes, codec, evaluation, requestsOf, memory: asking.memory };
    const subject = subjectOf(await openEditor(used, wide), used, wide);
    return agreementWithFp32(dtype, said, await fp32Lines({ subject, ...asked }, calls), {
      resamples: evaluation.bootstrap.samples,
      level: evaluation.bootstrap.level,
    });
  };
  const result: CellResult = { ...measured, agreement: onlyAnswers ? await withFp32() : null };
  await writeJsonAtomically(join(job.outDirectory, RUN_FILES.result), result);
  return result;
}
