import { type EditorSpec, isTrained, useOf } from "../editors/registry.js";
import { writeJsonAtomically } from "../files.js";
import { medianEstimate } from "../metrics/bootstrap.js";
import { narrowed } from "../models/base_dtype.js";
import { type Engine, type Model, openEngine } from "../native/engine.js";
import { assemble } from "./assemble.js";
import { type PlanTarget, tensorBudget } from "./devices.js";
import type { PlanJob } from "./job.js";
import { largestBelow } from "./largest_below.js";
import { inferenceOperation, trainStepOperation } from "./operations.js";
import type { CellPlan, Comparison, PlannedCost, PlannedCosts } from "./plan_record.js";
import { shapeWorkload } from "./prepared_cell.js";
import { randomWorkload } from "./random_workload.js";
import type { OperationSamples, ProfileRecord } from "./record.js";
import { type Operation, recordOnce } from "./recorder.js";
import { plannedEngineSpec } from "./shaped_models.js";
import type { Asked, Workload } from "./workload.js";

interface Calls {
  readonly signal?: AbortSignal;
}

/** Plans one cell in this process: what it would take, whether that fits, and the micro-batch that would. */
export async function planCell(job: PlanJob, calls: Calls): Promise<CellPlan> {
  const { target, task, model, record } = job;
  const spec = task.editor.method.editor;
  const costs = await plannedCosts(job, target.engine, spec, calls);
  const budget = tensorBudget(target);
  const fits = highestPeak(costs) <= budget;
  const configured = microBatchOf(spec);
  const fitting =
    fits || configured === null
      ? null
      : await largestBelow(
          configured,
          async (microBatch) =>
            highestPeak(await plannedCosts(job, target.engine, withMicroBatch(spec, microBatch), calls)) <=
            budget,
        );
  const there = record && (record.device === "cpu" ? "plan:cpu" : "plan:cuda");
  const plan: CellPlan = {
    method: task.editor.methodName,
    variant: useOf(spec).variant,
    model: model.name,
    K: task.K,
    costs,
    requiredBytes: highestPeak(costs) + target.overheadBytes,
    fits,
    microBatch: { configured, fitting },
    comparisons: there
      ? comparisonsOf(there === target.engine ? costs : await plannedCosts(job, there, spec, calls), record)
      : [],
  };
  await writeJsonAtomically(job.outFile, plan);
  return plan;
}

/** The operations as they are profiled, on engines that compute nothing. */
async function plannedCosts(
  job: PlanJob,
  device: PlanTarget["engine"],
  spec: EditorSpec,
  { signal }: Calls,
): Promise<PlannedCosts> {
  const options = await plannedEngineSpec(spec, job.task.seed, job.modelsDirectory);
  const open = (taken: boolean): Promise<PlannedSubject> =>
    openPlanned(job, taken ? device : `${device}:out-of-scope`);
  const infer = async (asked: Asked): Promise<PlannedCost> => {
    await using subject = await open(areTakenInScope(job.record, asked));
    const { engine, base, workload } = subject;
    const editor = await engine.createEditor(options, base);
    return await plannedCost(
      inferenceOperation({ editor, base, workload, asked, signal, onAnswers: () => undefined }),
    );
  };
  const train = async (): Promise<PlannedCost | null> => {
    await using subject = await open(true);
    const { engine, base, workload } = subject;
    if (!isTrained(spec) || workload.trainBatch === null) return null;
    const step = trainStepOperation(await engine.createEditor(options, base), workload.trainBatch, signal);
    // The first step also makes what later ones find.
    await recordOnce(step, "detail");
    return await plannedCost(step);
  };
  return { trainStep: await train(), inScope: await infer("inScope"), outScope: await infer("outScope") };
}

/** Whether the inputs go through the edits: as in the profile, else as they should. */
function areTakenInScope(record: ProfileRecord | null, asked: Asked): boolean {
  return record === null ? asked === "inScope" : record.takenInScope[asked] !== 0;
}

interface PlannedSubject extends AsyncDisposable {
  readonly engine: Engine;
  readonly base: Model;
  readonly workload: Workload;
}

async function openPlanned({ task, model, record }: PlanJob, device: string): Promise<PlannedSubject> {
  const engine = await openEngine({ device });
  const base = await engine.createModel(model.config, { seed: task.seed, ...narrowed(task.baseDtype) });
  return {
    engine,
    base,
    workload: record ? randomWorkload(record.rows, base.info, task.seed) : shapeWorkload(task, model, base),
    [Symbol.asyncDispose]: () => engine.close(),
  };
}

async function plannedCost(operation: Operation): Promise<PlannedCost> {
  const detail = await recordOnce(operation, "detail");
  const { peakBytes, memoryMap, flops } = assemble(
    [{ ...detail, processPeakBytes: null, energyJ: null }],
    detail,
  );
  return { peakBytes: Math.max(...peakBytes), memoryMap, flops };
}

const highestPeak = ({ trainStep, inScope, outScope }: PlannedCosts): number =>
  Math.max(trainStep?.peakBytes ?? 0, inScope.peakBytes, outScope.peakBytes);

const microBatchOf = (spec: EditorSpec): number | null => ("microBatch" in spec ? spec.microBatch : null);

const withMicroBatch = (spec: EditorSpec, microBatch: number): EditorSpec =>
  "microBatch" in spec ? { ...spec, microBatch } : spec;

function comparisonsOf(planned: PlannedCosts, record: ProfileRecord): Comparison[] {
  return (["trainStep", "inScope", "outScope"] as const).flatMap((operation) => {
    const cost = planned[operation];
    const samples = record[operation];
    if (cost === null || "notApplicable" in samples) return [];
    const peakBytes = medianEstimate(samples.peakBytes)?.value ?? 0;
    const measuredBytes = peakBytes + mappedBytes(samples, record);
    return [{ operation, plannedBytes: cost.peakBytes, measuredBytes }];
  });
}

const FP32_BYTES = 4;

/** Base weights that are read where they stand in their file: no allocator has seen them. */
const mappedBytes = ({ memoryMap }: OperationSamples, { parameters }: ProfileRecord): number =>
  memoryMap?.weights === 0 ? FP32_BYTES * parameters.model : 0;
