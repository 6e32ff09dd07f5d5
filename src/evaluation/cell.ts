import type { EvaluationConfig } from "../config/evaluation.js";
import { episodesChecksum } from "../data/episode_file.js";
import type { Episode } from "../data/types.js";
import { SeprogError } from "../errors.js";
import { type BootstrapOptions, type Estimate, medianEstimate } from "../metrics/bootstrap.js";
import type { BaseDtype } from "../models/base_dtype.js";
import type { EditRequests, EpisodeBatch } from "../native/addon.js";
import type { EditCodec } from "../tokenizers/edit_codec.js";
import type { Figures, OnEvent } from "../training/events.js";
import { BaseAnswers } from "./base_answers.js";
import { BatchBudget, type MemoryShares } from "./batch_budget.js";
import { type CellName, cellFigures, measured } from "./cell_figures.js";
import {
  type InferenceSamples,
  measureInference,
  measureTrainStep,
  type ScratchEditor,
  type StepSamples,
} from "./costs.js";
import { evaluate } from "./evaluate.js";
import { KnownAnswers } from "./known_answers.js";
import { meanFigures } from "./mean_figures.js";
import { OutputHash, type ReceiptBasis } from "./receipt.js";
import {
  type CellResult,
  type EditRecordLine,
  SUMMARY_SCHEMA_VERSION,
  type SummaryCell,
  type Tuning,
  type Work,
} from "./records.js";
import { type EditedScorer, editRequests, type Subject } from "./scorers.js";

export interface CellInput<Edited extends EditedScorer> {
  readonly name: CellName;
  readonly subject: Subject<Edited>;
  readonly episodes: readonly Episode[];
  readonly codec: EditCodec;
  readonly evaluation: EvaluationConfig;
  /** What the method gets of an episode's edits; default: the edits alone. */
  readonly requestsOf?: (edits: Episode) => EditRequests;
  /** How an option was tuned for this cell, if one was. */
  readonly tuning?: Tuning | null;
  /** For the training cost; null where the method has no training step. */
  readonly trainStep: { readonly scratch: ScratchEditor; readonly batch: EpisodeBatch } | null;
  readonly provenance: Pick<
    CellResult["provenance"],
    "modelChecksum" | "modelRecord" | "training" | "editorFingerprint" | "device" | "threads"
  > & {
    /** Of the base; default: fp32. */
    readonly precision?: BaseDtype;
  };
  readonly receipt: ReceiptBasis;
  /** What the base model is known to say; default: nothing. */
  readonly known?: KnownAnswers;
  /** Default: no limit, and nothing kept between calls. */
  readonly memory?: MemoryShares;
  /** Asked at the end; default: not measured. */
  readonly timeSpent?: () => Pick<Work, "wallMs" | "engineMs">;
  /** The process's resident high-water mark, asked at the end. */
  readonly processPeakBytes: () => Promise<number>;
}

export interface CellOptions {
  readonly signal?: AbortSignal;
  readonly onEvent?: OnEvent;
  /** Gets each record line as soon as its episode is done. */
  readonly onLine?: (line: EditRecordLine) => Promise<void> | void;
}

/**
 * Measures one cell: first what the edits do, then what they cost.
 * @throws the signal's reason when aborted
 */
export async function evaluateCell<Edited extends EditedScorer>(
  { name, subject, episodes, codec, evaluation, trainStep, provenance, ...input }: CellInput<Edited>,
  { signal, onEvent, onLine }: CellOptions = {},
): Promise<CellResult> {
  const [first] = episodes;
  if (first === undefined)
    throw new SeprogError("DATA_INVALID", "expected at least one episode to evaluate but received none");
  const startedAt = new Date();
  const { requestsOf = (edits: Episode) => editRequests(edits, codec) } = input;
  const common = { ...(signal && { signal }), ...(onEvent && { onEvent }) };
  const { batchSize, maxNewTokens, timing, sequential } = evaluation;
  const { known = new KnownAnswers() } = input;
  const { memory, timeSpent = () => ({ wallMs: null, engineMs: null }) } = input;
  const budget = new BatchBudget({ ...memory, mostRows: batchSize });

  const lines: EditRecordLine[] = [];
  const baseAnswers = new BaseAnswers(subject.base, codec, { budget, maxNewTokens }, known);
  const asked = evaluate(
    { subject, episodes, codec, baseAnswers, sequential, requestsOf },
    { budget, maxNewTokens, ...common },
  );
  const editing: Figures[] = [];
  let [questions, questionsAsked] = [0, 0];
  const outputHash = new OutputHash();
  for await (const episode of asked) {
    editing.push(episode.editing);
    outputHash.add(episode.outputs);
    questions += episode.outputs.length;
    questionsAsked += episode.asked;
    for (const line of episode.lines) {
      lines.push(line);
      await onLine?.(line);
    }
  }

  const inference = await measureInference(
    { subject, episode: first, codec, sequential, requestsOf },
    { maxNewTokens, ...timing, ...common },
  );
  const training =
    trainStep && (await measureTrainStep(trainStep.scratch, trainStep.batch, { ...timing, ...common }));

  const bootstrap = { resamples: evaluation.bootstrap.samples, level: evaluation.bootstrap.level };
  const { cell, detail, perEpisode, retention } = cellFigures({ ...name, origin: null }, lines, bootstrap);
  refuseWithoutDrawdown(cell);
  return {
    schemaVersion: SUMMARY_SCHEMA_VERSION,
    cell: { ...cell, ...costsOf(name.K, inference, training, bootstrap) },
    detail,
    perEpisode: {
      ...perEpisode,
      editing: editing.some((figures) => Object.keys(figures).length > 0) ? editing.map(copy) : [],
    },
    editing: meanFigures(editing),
    retention,
    tuning: input.tuning ?? null,
    agreement: null,
    work: {
      questions,
      questionsAsked,
      baseAsked: known.asked,
      baseReused: known.reused,
      memoryBudgetBytes: budget.bytes,
      mostRowsPerCall: budget.mostRows,
      ...timeSpent(),
    },
    timing: {
      warmup: timing.warmUps,
      repetitions: timing.repetitions,
      inferenceWallMs: [...inference.wallMs],
      inferencePeakBytes: [...inference.peakBytes],
      editWallMs: [...inference.editWallMs],
      trainStepWallMs: [...(training?.wallMs ?? [])],
      trainPeakBytes: [...(training?.peakBytes ?? [])],
      processPeakBytes: await input.processPeakBytes(),
    },
    provenance: {
      precision: "fp32",
      ...provenance,
      episodes: episodes.length,
      episodesChecksum: episodesChecksum(episodes),
      startedAt: startedAt.toISOString(),
      wallMs: Date.now() - startedAt.getTime(),
    },
    notes: [],
    receipt: { ...input.receipt, outputHash: outputHash.digest() },
  };
}

const copy = (figures: Figures): { [name: string]: number } => ({ ...figures });

/** The costs' medians over repetitions. */
function costsOf(
  K: number,
  inference: InferenceSamples,
  training: StepSamples | null,
  bootstrap: BootstrapOptions,
): Pick<SummaryCell, "train" | "inference"> {
  const median = (samples: readonly number[]): Estimate => measured(medianEstimate(samples, bootstrap));
  return {
    train: training && { stepWallMs: median(training.wallMs), peakBytes: median(training.peakBytes) },
    inference: {
      wallMs: median(inference.wallMs),
      peakBytes: median(inference.peakBytes),
      promptsPerSecond: median(inference.wallMs.map((wallMs) => (K * 1000) / wallMs)),
    },
  };
}

/** Without out-of-scope questions no figure says what an edit cost elsewhere. */
function refuseWithoutDrawdown({ DD }: Pick<SummaryCell, "DD">): void {
  if (DD === null)
    throw new SeprogError(
      "DATA_INVALID",
      "expected questions to measure DD on but the episodes hold none; lower `evaluation.outScope.hardShare` or use more data",
    );
}
