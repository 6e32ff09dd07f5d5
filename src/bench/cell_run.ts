import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { engineSpec } from "../config/editor_spec.js";
import { scheduleName } from "../config/evaluation.js";
import type { Episode } from "../data/types.js";
import { type EditorSpec, hasMemory, trainingSpec, useOf } from "../editors/registry.js";
import { type CellName, evaluateCell } from "../evaluation/cell.js";
import { requestsWithOutScope } from "../evaluation/edit_time_questions.js";
import type { CellResult } from "../evaluation/records.js";
import { editRequests, type Subject } from "../evaluation/scorers.js";
import { editorSubject } from "../evaluation/subject.js";
import { writeJsonAtomically } from "../files.js";
import type { EditedModel, Editor } from "../native/engine.js";
import { RUN_FILES } from "../report/run_data.js";
import { predictBase } from "../training/base_predictions.js";
import { toBatch } from "../training/episode_source.js";
import type { OnEvent } from "../training/events.js";
import { readModelFigures } from "../training/model_figures.js";
import { readTrained } from "../training/trained_editors.js";
import { cellEpisodes } from "./cell_episodes.js";
import { datasetLabel, modelLabel } from "./grid.js";
import { ContentHashes } from "./identity.js";
import type { CellJob } from "./job.js";
import { LineFile } from "./line_file.js";
import { receiptBasis, tokenizerHash } from "./receipt.js";
import { openSession } from "./session.js";
import { tuneOption } from "./tune_run.js";

/** Measures one cell in this process: edits.jsonl as it goes, result.json last and by rename. */
export async function measureCell(
  job: CellJob,
  { signal, onEvent }: { signal?: AbortSignal; onEvent?: OnEvent },
): Promise<CellResult> {
  const { task } = job;
  const { evaluation, text } = task;
  const { editor: written } = task.editor.method;
  const trained = job.editorDirectory === null ? null : await readTrained(job.editorDirectory);
  const { seed, datasets: known } = trained ?? task.editor;
  await using session = await openSession({
    engine: job.engine,
    modelFolder: job.model.folder,
    text,
    editor: written,
  });
  const { engine, base, codec } = session;
  const calls = { ...(signal && { signal }), ...(onEvent && { onEvent }) };
  const openEditor = async (spec: EditorSpec): Promise<Editor> => {
    const editor = await engine.createEditor(engineSpec(spec, seed), base);
    if (job.editorDirectory !== null) await editor.restore(job.editorDirectory);
    return editor;
  };
  const subjectOf = (editor: Editor, spec: EditorSpec): Subject<EditedModel> =>
    editorSubject(editor, base, evaluation.gate, useOf(spec), hasMemory(spec));

  const { dataset, K } = task;
  const contents = new ContentHashes();
  const { data, episodes } = await cellEpisodes(
    { task, evaluation, model: job.model, known, session, contents, directory: job.episodesDirectory },
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
        records: await predictBase(base, data.splits.validation, codec, calls),
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
  const trainStep = trained && {
    scratch: await engine.createEditor(engineSpec(trainingSpec(used), seed), base),
    batch: await toBatch({ K, episodes: [first] }, codec),
  };
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
  const result = await evaluateCell(
    {
      name,
      subject: subjectOf(editor, used),
      episodes,
      codec,
      evaluation,
      trainStep,
      requestsOf,
      tuning: tuned ? tuned.tuning : null,
      provenance: {
        modelChecksum: base.info.checksum,
        modelRecord: await readModelFigures(job.model.folder),
        training: trained ? "trained" : "untrained",
        editorFingerprint,
        device: engine.device,
        threads: engine.threads,
      },
      receipt: await receiptBasis(engine, {
        configHash: job.configHash,
        dataHash: await contents.dataset(dataset),
        tokenizerHash: await tokenizerHash(job.model.folder),
        modelChecksum: base.info.checksum,
        editorFingerprint,
        seed: task.seed,
      }),
      processPeakBytes: async () => (await engine.memoryStats()).processPeakBytes,
    },
    { ...calls, onLine: (line) => lines.write(line) },
  );
  await lines.complete();
  await writeJsonAtomically(join(job.outDirectory, RUN_FILES.result), result);
  return result;
}
