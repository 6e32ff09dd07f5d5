import { z } from "zod";
import { SPLITS } from "../data/types.js";
import { MODEL_FAMILIES } from "../models/registry.js";
import { scheduleFields } from "./schedule.js";
import { textSchema } from "./suite.js";

/** A data set, all of it or some of its splits: what must be asked of the model unseen is left out. */
const taughtDataset = z.union([
  z
    .string()
    .min(1)
    .transform((name) => ({ name, splits: [...SPLITS], share: 1, background: undefined })),
  z.strictObject({
    name: z.string().min(1),
    splits: z
      .array(z.enum(["train", "validation", "test"]))
      .min(1)
      .default([...SPLITS]),
    /** Share of the groups of each split that are taught, drawn by the seed. */
    share: z.number().gt(0).max(1).default(1),
    /** Also what the set's entailed pairs build on; for sets that have such statements. */
    background: z.boolean().optional(),
  }),
]);

/** `seprog-native pretrain`: a base model trained from scratch, on the facts of data sets or on passages of text. */
const recipeFields = z.strictObject({
  schemaVersion: z.literal(1).default(1),
  name: z.string().regex(/^[A-Za-z0-9._-]+$/),
  description: z.string().default(""),
  seed: z.int().min(0).default(0),
  /** A `tokenizer.json`, relative to the recipe. */
  tokenizer: z.string().min(1).default("tokenizer.json"),
  model: z.discriminatedUnion("family", [
    MODEL_FAMILIES.t5.shape,
    MODEL_FAMILIES.bart.shape,
    MODEL_FAMILIES.bert.shape,
    MODEL_FAMILIES.distilbert.shape,
    MODEL_FAMILIES.gpt2.shape,
  ]),
  /** Every wording of every fact of these data sets is shown; a wording with two answers is left out. */
  datasets: z.array(taughtDataset).default([]),
  /** At most this many facts, drawn by the seed. */
  maxFacts: z.int().positive().nullable().default(null),
  /** A language model instead: the passages of the embedded Wikipedia set, in windows of so many tokens. */
  passages: z
    .strictObject({ windowTokens: z.int().min(2).default(96) })
    .nullable()
    .default(null),
  text: textSchema.prefault({}),
  training: z.strictObject({
    learningRate: scheduleFields.learningRate.default(2e-3),
    warmupSteps: scheduleFields.warmupSteps.default(300),
    schedule: scheduleFields.schedule.default("linear"),
    endFactor: scheduleFields.endFactor.default(0.05),
    /** A pass shows every fact once, in one of its wordings. */
    epochs: z.number().positive(),
    batchSize: z.int().positive().default(256),
    /** Batches are cut from this many batches sorted by length, so that few pad positions are computed. */
    bucketBatches: z.int().positive().default(16),
    clipNorm: z.number().positive().default(1),
    optimizer: z
      .strictObject({
        kind: z.enum(["adam"]).default("adam"),
        beta1: z.number().min(0).lt(1).default(0.9),
        beta2: z.number().min(0).lt(1).default(0.999),
        epsilon: z.number().positive().default(1e-8),
        weightDecay: z.number().min(0).default(0),
      })
      .prefault({}),
    validateEverySteps: z.int().positive().default(500),
    /** Wordings drawn for the validation figure during training; at the end every wording is asked. */
    validationRows: z.int().positive().default(1500),
    checkpointEverySteps: z.int().positive().default(1000),
  }),
  save: z.strictObject({ dtype: z.enum(["fp32", "fp16", "bf16"]).default("bf16") }).prefault({}),
});

export const recipeSchema = recipeFields.superRefine(({ datasets, passages }, context) => {
  if (datasets.length > 0 === (passages !== null))
    context.addIssue({
      code: "custom",
      path: [datasets.length > 0 ? "passages" : "datasets"],
      message:
        "expected either data sets or passages to teach but received " +
        (passages === null ? "neither" : "both"),
    });
});

export type RecipeConfig = z.infer<typeof recipeSchema>;
