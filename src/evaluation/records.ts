/**
 * What an evaluation writes: one `EditRecordLine` per edit (JSON Lines), one `CellResult` per cell (`result.json`) and
 * one `Summary` per run (`summary.json`, versioned). The schemas are the documentation and the check in one.
 */
import { z } from "zod";
import { BASE_DTYPES } from "../models/base_dtype.js";
import { receiptSchema } from "./receipt.js";

/** Raised whenever a field of `Summary` changes its name, its unit or its meaning. */
export const SUMMARY_SCHEMA_VERSION = 2;

/** An estimate over n edits (or repetitions) with its percentile bootstrap interval at 95 %. */
export const figureSchema = z.strictObject({
  value: z.number(),
  low: z.number(),
  high: z.number(),
  n: z.int().nonnegative(),
});
export type Figure = z.infer<typeof figureSchema>;

/** null: the data set or the editor has nothing to measure it on. */
const optionalFigure = figureSchema.nullable();

/** The editor's decision on one input; absent for editors without a scope classifier. */
const scopeSchema = z.strictObject({
  /** In scope iff > 0. */
  logit: z.number(),
  /** Position among the episode's K edits of the edit attended to most; −1 with an empty memory. */
  selected: z.int(),
});

/** One question put to the base and to the edited model. Strings are as generated, not normalised. */
const probeShape = {
  input: z.string(),
  /** Null where it is not known what the unedited model says, as with answers made elsewhere. */
  base: z.string().nullable(),
  edited: z.string(),
  scope: scopeSchema.optional(),
} as const;

/** A question the edit should change. */
export const inScopeProbeSchema = z.strictObject({
  ...probeShape,
  /** Any of these counts as right. */
  expected: z.array(z.string()).min(1),
  match: z.boolean(),
  /** The unedited model's answer is among `expected` already. */
  baseMatch: z.boolean().nullable(),
  matchStrict: z.boolean(),
  /** Every target token is the arg-max under teacher forcing. Null, as what follows, where there is text alone. */
  teacherForced: z.boolean().nullable(),
  /** −ln p of the expected answer's tokens under the edited model, and their number. */
  negLogLik: z.number().nullable(),
  tokens: z.int().nullable(),
});
export type InScopeProbe = z.infer<typeof inScopeProbeSchema>;

/** A question the edit should leave alone. */
export const outScopeProbeSchema = z.strictObject({
  ...probeShape,
  gold: z.array(z.string()).min(1),
  /** The edited model says what the base says. */
  same: z.boolean().nullable(),
  sameStrict: z.boolean().nullable(),
  /** The edited model's, and the base's, answer is among `gold`. */
  goldMatch: z.boolean(),
  baseGoldMatch: z.boolean().nullable(),
  /** Arg-max tokens of base and edited model agree at every target token under teacher forcing on the gold answer. */
  teacherForcedSame: z.boolean().nullable(),
  /** Σ over target tokens of KL(base ‖ edited), and their number. */
  kl: z.number().nullable(),
  tokens: z.int().nullable(),
});
export type OutScopeProbe = z.infer<typeof outScopeProbeSchema>;

/** All that was asked about one edit. Line i of the file is edit `edit` of episode `episode`. */
export const editRecordSchema = z.strictObject({
  episode: z.int().nonnegative(),
  edit: z.int().nonnegative(),
  id: z.string(),
  question: z.string(),
  answer: z.string(),
  /** The edit's own question. Its `baseMatch` says that the edit asks for no change. */
  self: inScopeProbeSchema,
  /** Clean rephrases: what `ES` is measured on. */
  inScope: z.array(inScopeProbeSchema),
  /** Rephrases with an unrelated sentence in front: `ESnoisy`. */
  noisy: z.array(inScopeProbeSchema),
  /** Other records drawn at random: `DD`. */
  outScope: z.array(outScopeProbeSchema),
  /** Questions close to the edit that it must not touch: `DDhard`. */
  hard: z.array(outScopeProbeSchema),
  /** Sequential editing alone: share of the in-scope questions answered as edited when so many edits had come after. */
  retention: z.array(z.strictObject({ age: z.int().nonnegative(), ES: z.number() })).optional(),
});
export type EditRecordLine = z.infer<typeof editRecordSchema>;

const gateSchema = z.strictObject({
  accuracy: figureSchema,
  /** null: nothing was let through. */
  precision: optionalFigure,
  recall: figureSchema,
});

const trainCostSchema = z.strictObject({
  /** Wall time of one optimiser step at this K: edit, losses, backward, update. */
  stepWallMs: figureSchema,
  /** Highest bytes held by tensors on the device during the step. */
  peakBytes: figureSchema,
});

const inferenceCostSchema = z.strictObject({
  /** Applying the K edits plus predicting the K in-scope inputs. */
  wallMs: figureSchema,
  peakBytes: figureSchema,
  promptsPerSecond: figureSchema,
});

/** What the unedited model does on the same questions: without it neither ES nor DD means anything. */
const baseSchema = z.strictObject({
  /** Share of random out-of-scope questions answered with a gold answer. */
  accuracy: optionalFigure,
  /** `ES` before any edit. */
  ES: optionalFigure,
});

/** Whose answers they are, where no editor of this package gave them. */
const originSchema = z.strictObject({
  /** Model folders, or answers in a file. */
  kind: z.enum(["edited", "predictions"]),
  /** As they were named to the command, with the checksum of a model's weights or the SHA-256 of the file. */
  sources: z.array(z.strictObject({ path: z.string(), checksum: z.string() })).min(1),
});
export type Origin = z.infer<typeof originSchema>;

/** Where the method stands in a sweep over one option. */
const sweepSchema = z.strictObject({ of: z.string(), option: z.string(), value: z.string() });

/** One row of the result table: method × data set × base model × K × seed. */
export const summaryCellSchema = z.strictObject({
  method: z.string(),
  /** What the method switches off, as its editor calls it; `seprog` switches nothing off. Of answers made elsewhere their kind. */
  variant: z.string(),
  /** Null for editors of this package. What was not measured of answers made elsewhere is null. */
  origin: originSchema.nullable().default(null),
  sweep: sweepSchema.nullable(),
  /**
   * `simultaneous`: all K edits at once. Else one after the other, asked about right after it (`immediate`), after the
   * last (`final`) or n edits later (`gap=n`).
   */
  schedule: z.string().default("simultaneous"),
  dataset: z.string(),
  /** The base; null where answers made elsewhere are compared with none, or with what came with them. */
  model: z.string().nullable(),
  K: z.int().positive(),
  /** Null for answers made elsewhere. */
  seed: z.int().nullable(),
  nEdits: z.int().positive(),
  /** Clean rephrases; the edit's own question where the data set has none. */
  ES: figureSchema,
  ESself: figureSchema,
  ESall: figureSchema,
  ESnoisy: optionalFigure,
  /** `ES` over the edits that ask for a change; null where all do. */
  ESchanged: optionalFigure,
  /** `ES` over the questions that the base does not answer as requested; null where it answers all so. */
  ESgained: optionalFigure,
  DD: optionalFigure,
  DDgold: optionalFigure,
  DDhard: optionalFigure,
  base: baseSchema,
  /** Of the scope classifier, also where it is not asked; null for methods without one. */
  gate: gateSchema.nullable(),
  teacherForced: z.strictObject({ ES: optionalFigure, DD: optionalFigure }),
  /** Teacher-forced ES minus ES: what the right tokens before each give away. Null in records from before it. */
  leakGap: optionalFigure.default(null),
  train: trainCostSchema.nullable(),
  inference: inferenceCostSchema.nullable(),
  /** 16 hex digits over everything that decides the cell's figures. */
  configHash: z.string(),
});
export type SummaryCell = z.infer<typeof summaryCellSchema>;

/** Figures that stand in `result.json` and the report's details, not in the summary table. */
const detailSchema = z.strictObject({
  ESstrict: figureSchema,
  DDstrict: optionalFigure,
  /** Gold mismatch of the unedited model on the same inputs: read `DDgold` against it. */
  errBase: optionalFigure,
  gateAuc: optionalFigure,
  /** Share of in-scope inputs whose most attended edit is their own. */
  selectionAccuracy: optionalFigure,
  /** Share of hard and of random out-of-scope inputs that the gate lets through to the edits. */
  gateOnHard: optionalFigure,
  gateOnRandom: optionalFigure,
  /** KL(base ‖ edited) per target token of the out-of-scope gold answers, nats. */
  klOut: optionalFigure,
  /** −ln p per target token of the in-scope answers under the edited model, nats. */
  nllIn: optionalFigure,
});
export type CellDetail = z.infer<typeof detailSchema>;

const figuresSchema = z.record(z.string(), z.number());

/** Means over the questions of each episode, in order; null where an episode has none. ES and DD are their means. */
const perEpisodeSchema = z.strictObject({
  ES: z.array(z.number().nullable()),
  DD: z.array(z.number().nullable()),
  /** What fitting weights to the edits took (`steps`, `editLoss`, …); empty where nothing is fitted. */
  editing: z.array(figuresSchema).default([]),
});

/** ES of edits by the number of edits made after them. */
const retentionSchema = z.array(z.strictObject({ age: z.int().nonnegative(), ES: figureSchema }));
export type Retention = z.infer<typeof retentionSchema>;

/** How the value of an option was chosen for this data set and K: the largest ES − DD on the validation split. */
const tuningSchema = z.strictObject({
  option: z.string(),
  value: z.number(),
  /** Edits each value was tried on, so many at once. */
  edits: z.int().positive(),
  K: z.int().positive(),
  /** null: weights or losses were not finite. */
  tried: z.array(z.strictObject({ value: z.number(), ES: z.number().nullable(), DD: z.number().nullable() })),
});
export type Tuning = z.infer<typeof tuningSchema>;

/** What an evaluation asked, and what it did not have to ask. */
const workSchema = z.strictObject({
  /** Put to edited models over all episodes, and how many of them a model answered: those that are the same, once. */
  questions: z.int().nonnegative(),
  questionsAsked: z.int().nonnegative(),
  /** Questions put to the unedited model in this process, and those whose answers were known: from earlier processes, mostly. */
  baseAsked: z.int().nonnegative(),
  baseReused: z.int().nonnegative(),
  /** Most bytes of a call of the engine beyond what was there before it; null: not limited. */
  memoryBudgetBytes: z.number().nullable(),
  mostRowsPerCall: z.int().positive(),
  /** From opening the model to the last figure, and how much of it the engine ran calls; null where not measured. */
  wallMs: z.number().nullable().default(null),
  engineMs: z.number().nullable().default(null),
});
export type Work = z.infer<typeof workSchema>;

/** A figure with the base in fp32, and what rounding the base added to it. */
const changeSchema = z.strictObject({ fp32: z.number(), change: z.number() });

/** The same edits and questions with the base rounded and in fp32. */
const agreementSchema = z.strictObject({
  dtype: z.enum(BASE_DTYPES),
  /** Share of all questions that the edited model, and the unedited one, answers with the very text of fp32. */
  sameAnswers: figureSchema,
  sameBaseAnswers: figureSchema,
  ES: changeSchema,
  DD: changeSchema,
});
export type Agreement = z.infer<typeof agreementSchema>;

/** Figures of the base model's own record by what they are of; null where it has none. */
export const modelFiguresSchema = z.record(z.string(), z.number()).nullable();

/** How a cost was taken, with its raw samples. */
const timingSchema = z.strictObject({
  warmup: z.int().nonnegative(),
  repetitions: z.int().positive(),
  inferenceWallMs: z.array(z.number()),
  inferencePeakBytes: z.array(z.number()),
  editWallMs: z.array(z.number()),
  trainStepWallMs: z.array(z.number()),
  trainPeakBytes: z.array(z.number()),
  /** The process's resident high-water mark when the cell ended. */
  processPeakBytes: z.number(),
});
export type CellTiming = z.infer<typeof timingSchema>;

/** `result.json` of a cell: written last, by rename, so its presence means the cell is done. */
export const cellResultSchema = z.strictObject({
  schemaVersion: z.literal(SUMMARY_SCHEMA_VERSION),
  cell: summaryCellSchema,
  detail: detailSchema,
  perEpisode: perEpisodeSchema,
  /** Means over episodes of `perEpisode.editing`. */
  editing: figuresSchema.default({}),
  /** Empty unless edits are made one after the other. */
  retention: retentionSchema.default([]),
  /** Null where no option was tuned. */
  tuning: tuningSchema.nullable().default(null),
  /** What an 8-bit base changed; null for others. */
  agreement: agreementSchema.nullable().default(null),
  /** Null in records from before it was counted, and of answers in a file. No time in `timing` rests on an answer that was reused. */
  work: workSchema.nullable().default(null),
  /** Null for answers made elsewhere: nothing was timed. */
  timing: timingSchema.nullable(),
  provenance: z.strictObject({
    episodes: z.int().positive(),
    /** SHA-256 of the episodes: equal for all methods of a (data set, K). */
    episodesChecksum: z.string(),
    /** Of the base; null where `cell.model` is. */
    modelChecksum: z.string().nullable(),
    modelRecord: modelFiguresSchema,
    /** Whether the method learned anything before it edited; it is not known of what others made. */
    training: z.enum(["trained", "untrained", "elsewhere"]).default("trained"),
    editorFingerprint: z.string().nullable(),
    /** Null, as what follows, where no model was asked. */
    device: z.string().nullable(),
    threads: z.int().positive().nullable(),
    /** Of the base's large matrices; everything else is fp32. */
    precision: z.string().nullable(),
    startedAt: z.string(),
    wallMs: z.number(),
  }),
  /** What a reader must know of these figures. */
  notes: z.array(z.string()).default([]),
  /** What `verify` replays by; null in records from before there were receipts, and of what others made. */
  receipt: receiptSchema.nullable().default(null),
});
export type CellResult = z.infer<typeof cellResultSchema>;

/** A cell whose editor was not trained within the budget of time. */
const overBudgetSchema = z.strictObject({
  /** Folder's name. */
  cell: z.string(),
  method: z.string(),
  variant: z.string(),
  sweep: sweepSchema.nullable(),
  dataset: z.string(),
  K: z.int().positive(),
  seed: z.int(),
  budgetMinutes: z.number(),
  /** Where training stopped, of how many steps. */
  step: z.int().nonnegative(),
  steps: z.int().positive(),
});
export type OverBudget = z.infer<typeof overBudgetSchema>;

/** `summary.json`. `environment` is the content of the run's environment.json. */
export const summarySchema = z.strictObject({
  schemaVersion: z.literal(SUMMARY_SCHEMA_VERSION),
  suite: z.string(),
  /** What the suite says of what was run and what was not. */
  notes: z.array(z.string()),
  /** Planned cells that are not in the table, by their folder's name. */
  missing: z.array(z.string()),
  /** Planned cells that are not in the table because training took too long; none of them is among `missing`. */
  overBudget: z.array(overBudgetSchema).default([]),
  /** Base models by their name in the table, with the figures of their own records. */
  models: z.record(z.string(), modelFiguresSchema),
  environment: z.record(z.string(), z.json()),
  cells: z.array(summaryCellSchema),
});
export type Summary = z.infer<typeof summarySchema>;
