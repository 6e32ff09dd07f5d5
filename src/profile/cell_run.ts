import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { datasetLabel, modelLabel } from "../bench/grid.js";
import { receiptBasis } from "../bench/receipt.js";
import { engineSpec } from "../config/editor_spec.js";
import { hasMemory, isTrained, useOf } from "../editors/registry.js";
import { SeprogError } from "../errors.js";
import { OutputHash } from "../evaluation/receipt.js";
import { writeFileAtomically } from "../files.js";
import { medianEstimate } from "../metrics/bootstrap.js";
import { narrowed } from "../models/base_dtype.js";
import type { Generation } from "../native/addon.js";
import { type EditedModel, type Editor, type Engine, openEngine } from "../native/engine.js";
import { unpackRows } from "../tokenizers/token_rows.js";
import type { OnEvent } from "../training/events.js";
import { readTrained } from "../training/trained_editors.js";
import { openEnergyMeter } from "./energy.js";
import type { ProfileJob } from "./job.js";
import { OneOffCosts } from "./one_off_costs.js";
import { inferenceOperation, trainStepOperation } from "./operations.js";
import { type PreparedCell, prepareShape, prepareText } from "./prepared_cell.js";
import type { NotApplicable, OneOffCost, OperationSamples, ProfileRecord } from "./record.js";
import { batchLengths, lengthsOf, type QuestionLengths, requestLengths, viewLengths } from "./row_lengths.js";
import { type SamplingOptions, sampleOperation } from "./sampling.js";
import { shapedEngineSpec } from "./shaped_models.js";
import type { Asked, Workload } from "./workload.js";

interface Calls {
  readonly signal?: AbortSignal;
  readonly onEvent?: OnEvent;
}

/** Profiles one cell in this process; the record is written last, by rename. */
export async function profileCell(job: ProfileJob, calls: Calls): Promise<ProfileRecord> {
  await using engine = await openEngine(job.engine);
  const record = await measured(engine, job, calls);
  await writeFileAtomically(job.outFile, `${JSON.stringify(record)}\n`);
  return record;
}

async function measured(engine: Engine, job: ProfileJob, calls: Calls): Promise<ProfileRecord> {
  const { task, model, editorDirectory } = job;
  const spec = task.editor.method.editor;
  const learns = isTrained(spec);
  const trained = editorDirectory === null ? null : await readTrained(editorDirectory);
  const editorOptions =
    model.kind === "folder"
      ? engineSpec(spec, trained?.seed ?? task.seed)
      : await shapedEngineSpec(spec, task.seed, job.modelsDirectory);
  const oneOff = new OneOffCosts(engine);
  const energy = await openEnergyMeter(engine.device);

  const rounding = narrowed(task.baseDtype);
  const base =
    model.kind === "folder"
      ? await oneOff.measure("load_model", () =>
          engine.loadModel(model.folder, { addPadToken: true, ...rounding }),
        )
      : await oneOff.measure("create_model", () =>
          engine.createModel(model.config, { seed: task.seed, ...rounding }),
        );
  const prepared =
    model.kind === "folder"
      ? await prepareText({ ...job, model }, base, calls)
      : await prepareShape({ ...job, model }, base);
  const { workload } = prepared;

  const makeEditor = (): Promise<Editor> => engine.createEditor(editorOptions, base);
  const first = await oneOff.measure("make_editor", makeEditor);
  const trainStep = learns
    ? await measureTraining(first, prepared, oneOff, { ...job, ...calls, energy })
    : { notApplicable: `${task.editor.methodName} learns nothing before it edits` };
  if (!("notApplicable" in trainStep)) {
    oneOff.add(trainingCost(trainStep, trained?.training ?? null, task.editor.method.training.steps));
  }
  const isFresh = learns && trained === null;
  const editor = learns ? await makeEditor() : first;
  if (editorDirectory !== null) await oneOff.measure("load_editor", () => editor.restore(editorDirectory));
  if (isFresh) await copyLearned(first, editor);
  // What answers is measured beside no second editor.
  if (learns) await first.dispose();
  const instead = isFresh && hasMemory(spec) ? await alwaysInScope(editor, workload) : undefined;
  const infer = async (asked: Asked) => {
    const answers = new LastAnswers();
    const samples = await sampleOperation(
      inferenceOperation({
        editor,
        base,
        workload,
        asked,
        instead: asked === "inScope" ? instead : undefined,
        signal: calls.signal,
        onAnswers: (generation) => answers.take(generation),
      }),
      { ...job, ...calls, energy },
    );
    return { samples, answers: answers.taken };
  };
  const inScope = await infer("inScope");
  const outScope = await infer("outScope");

  const outputs = new OutputHash();
  for (const { answers } of [inScope, outScope]) outputs.add(unpackRows(answers.tokens));
  const editorFingerprint = trained && (await editor.fingerprint());
  const requests = workload.requests();
  return {
    schemaVersion: 1,
    kind: "profile",
    method: task.editor.methodName,
    variant: useOf(spec).variant,
    dataset: model.kind === "folder" ? datasetLabel(task.dataset) : null,
    model: model.kind === "folder" ? modelLabel(model.name) : model.name,
    K: task.K,
    seed: task.seed,
    device: engine.device,
    dtype: "fp32",
    threads: engine.threads,
    tokens: {
      edit: requests.editText.ids.length,
      source: workload.questions("inScope").source.ids.length,
      target: requests.edits.target.ids.length,
    },
    parameters: { model: base.info.parameterCount, editor: editorParameters(inScope.samples) },
    editor: learns ? (trained ? "trained" : "fresh") : "untrained",
    warmUps: job.warmUps,
    repetitions: job.repetitions,
    energy: "notAvailable" in energy ? energy : { source: energy.source },
    trainStep,
    inScope: inScope.samples,
    outScope: outScope.samples,
    oneOff: oneOff.list,
    successes: isFresh ? null : workload.successes(inScope.answers),
    takenInScope: {
      inScope: instead ? task.K : takenInScope(inScope.answers),
      outScope: takenInScope(outScope.answers),
    },
    quality: job.quality,
    rows: {
      trainStep: workload.trainBatch && batchLengths(await workload.trainBatch()),
      requests: requestLengths(requests),
      inScope: questionLengths(workload, "inScope", inScope.answers),
      outScope: questionLengths(workload, "outScope", outScope.answers),
    },
    receipt: {
      ...(await receiptBasis(engine, {
        configHash: job.configHash,
        dataHash: prepared.dataHash,
        tokenizerHash: prepared.tokenizerHash,
        modelChecksum: base.info.checksum,
        editorFingerprint,
        seed: task.seed,
      })),
      outputHash: outputs.digest(),
    },
  };
}

/** Of the editor's own training where it was trained, else of the steps that the suite says, each as measured here. */
function trainingCost(
  step: OperationSamples,
  training: { readonly wallMs: number; readonly steps: number } | null,
  steps: number,
): OneOffCost {
  const name = "train_editor";
  const peakBytes = Math.max(...step.peakBytes);
  if (training)
    return { name, wallMs: training.wallMs, peakBytes, source: "training record", steps: training.steps };
  const stepMs = medianEstimate(step.wallMs)?.value ?? 0;
  return { name, wallMs: steps * stepMs, peakBytes, source: "steps × step", steps };
}

/** The start that depends on data, where there is one, and the step. */
async function measureTraining(
  editor: Editor,
  { workload, calibration }: PreparedCell,
  oneOff: OneOffCosts,
  { signal, ...options }: SamplingOptions,
): Promise<OperationSamples | NotApplicable> {
  if (workload.trainBatch === null) return { notApplicable: "no training episodes" };
  if (calibration !== null) {
    const { sample, steps } = calibration;
    const { measurement } = await editor.calibrate(sample, { measure: true, ...(signal && { signal }) });
    oneOff.add({
      name: "calibrate",
      wallMs: (steps * (measurement?.total.wallNs ?? 0)) / 1e6,
      peakBytes: measurement?.total.peakBytes ?? null,
      ...(steps === 1 ? { source: "measured" as const } : { source: "steps × step" as const, steps }),
    });
  }
  return sampleOperation(trainStepOperation(editor, workload.trainBatch, signal), {
    ...options,
    ...(signal && { signal }),
  });
}

/** What the steps have left beside weights: MEND edits by statistics of the rows it has seen. */
async function copyLearned(from: Editor, to: Editor): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "seprog-profile-"));
  try {
    await from.save(folder);
    await to.restore(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * A view over the edits that answers every input with them: a classifier that has learned nothing would send any of the
 * in-scope inputs past the edits.
 */
async function alwaysInScope(editor: Editor, workload: Workload): Promise<EditedModel> {
  const { editText, labels } = workload.requests();
  const memory = await editor.createMemory();
  await memory.add(editText, labels);
  return editor.withMemory(memory, { gate: "always" });
}

class LastAnswers {
  #generation: Generation | undefined;

  take(generation: Generation): void {
    this.#generation = generation;
  }

  get taken(): Generation {
    if (this.#generation === undefined)
      throw new SeprogError("INTERNAL", "expected an operation that was measured to have answered");
    return this.#generation;
  }
}

const takenInScope = ({ scope }: Generation): number | null =>
  scope === undefined ? null : scope.logit.filter((logit) => logit > 0).length;

const FP32_BYTES = 4;

/** From what the editor holds while nothing is trained; null where the allocator does not tell. */
function editorParameters({ memoryMap }: OperationSamples): number | null {
  const bytes = memoryMap?.editor;
  return bytes === undefined ? null : Math.round(bytes / FP32_BYTES);
}

function questionLengths(workload: Workload, asked: Asked, { tokens }: Generation): QuestionLengths {
  const { source, options } = workload.questions(asked);
  return {
    source: lengthsOf(source),
    ...(options.views && { views: viewLengths(options.views) }),
    answer: Math.max(1, ...tokens.lengths),
  };
}
