import { createHash } from "node:crypto";
import { copyFile, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { z } from "zod";
import { configHash } from "../config/hash.js";
import type { RecipeConfig } from "../config/recipe.js";
import { loadDataset } from "../data/registry.js";
import { SeprogError } from "../errors.js";
import { addFilesAtomically, writeFileAtomically, writeJsonAtomically } from "../files.js";
import { huggingFaceConfig, type TokenFacts } from "../models/registry.js";
import type { ModelInfo, Spec } from "../native/addon.js";
import { EditCodec } from "../tokenizers/edit_codec.js";
import { Tokenizer } from "../tokenizers/tokenizer.js";
import type { OnEvent } from "./events.js";
import { type Fact, factsOf } from "./facts.js";
import { type PretrainingRecord, pretrain, type TrainableModel } from "./pretrain.js";
import { type Answering, measureRecall, type Recall } from "./recall.js";

interface WorkingModel extends Answering {
  readonly info: ModelInfo;
  save(directory: string, options: { readonly dtype: RecipeConfig["save"]["dtype"] }): Promise<void>;
  dispose(): Promise<void>;
}

interface Tuner<Model extends WorkingModel> extends TrainableModel {
  snapshot(): Promise<Model>;
  dispose(): Promise<void>;
}

/** An engine as pretraining needs it. */
export interface ModelMaker<Model extends WorkingModel> {
  createModel(config: Spec, options: { readonly seed: number }): Promise<Model>;
  createFineTuner(spec: Spec, start: Model): Promise<Tuner<Model>>;
  loadModel(directory: string): Promise<Model>;
}

export interface PretrainModelOptions {
  /** Where the recipe's relative paths start. */
  readonly recipeDirectory: string;
  /** The model folder: config.json, model.safetensors, tokenizer.json, recipe.json and, last, record.json. */
  readonly outDirectory: string;
  /** Checkpoints of an unfinished run; resumed from. */
  readonly workDirectory: string;
  readonly resume?: boolean;
  readonly signal?: AbortSignal;
  readonly onEvent?: OnEvent;
}

const share = z.number().min(0).max(1);

/** `record.json` of a pretrained model: what it was made from and what it knows. */
export const modelRecordSchema = z.strictObject({
  schemaVersion: z.literal(1),
  name: z.string(),
  recipeHash: z.string(),
  /** SHA-256 over the facts: wordings and answers. */
  dataChecksum: z.string(),
  modelChecksum: z.string(),
  parameterCount: z.int(),
  dtype: z.enum(["fp32", "fp16", "bf16"]),
  facts: z.int(),
  wordings: z.int(),
  /** Free generation by the saved file: share of wordings, and of facts in every wording, answered right. */
  recall: z.strictObject({ wordings: share, facts: share }),
  training: z.strictObject({
    steps: z.int(),
    wallMs: z.number(),
    history: z.array(z.strictObject({ step: z.int(), recall: z.number() })),
  }),
});
export type ModelRecord = z.infer<typeof modelRecordSchema>;

/**
 * Makes a base model from a recipe: trains it on the facts, saves it, loads what was saved and asks it everything.
 * @throws as `pretrain`; SeprogError CONFIG_INVALID if the recipe's tokenizer cannot be read
 */
export async function pretrainModel<Model extends WorkingModel>(
  engine: ModelMaker<Model>,
  recipe: RecipeConfig,
  options: PretrainModelOptions,
): Promise<ModelRecord> {
  const { signal, onEvent, resume = true } = options;
  const tokenizerPath = resolve(options.recipeDirectory, recipe.tokenizer);
  const { tokenizer, tokens } = await loadTokenizer(tokenizerPath);
  const codec = new EditCodec(tokenizer, recipe.text);
  const datasets = await Promise.all(recipe.datasets.map((spec) => loadDataset(spec, { tokenizer })));
  const facts = factsOf(datasets, recipe.maxFacts, recipe.seed);
  if (facts.length === 0)
    throw new SeprogError("DATA_INVALID", "expected at least one fact in `datasets` but received none");
  const recipeHash = configHash({ recipe, data: dataChecksum(facts) });

  const start = await engine.createModel(huggingFaceConfig(recipe.model, tokens), { seed: recipe.seed });
  const { optimizer, clipNorm } = recipe.training;
  const tuner = await engine.createFineTuner({ optimizer, clipNorm }, start);
  await start.dispose();
  try {
    const training = await pretrain(
      { tuner, facts, codec, recipe },
      {
        directory: options.workDirectory,
        identity: recipeHash,
        resume,
        ...(signal && { signal }),
        ...(onEvent && { onEvent }),
      },
    );
    const model = await tuner.snapshot();
    let record: ModelRecord | undefined;
    await addFilesAtomically(options.outDirectory, "record.json", async (folder) => {
      await model.save(folder, { dtype: recipe.save.dtype });
      await model.dispose();
      await copyFile(tokenizerPath, join(folder, "tokenizer.json"));
      await writeFileAtomically(join(folder, "recipe.json"), `${JSON.stringify(recipe, null, 2)}\n`);
      record = await examine(engine, folder, { recipe, recipeHash, facts, codec, training }, options);
      await writeJsonAtomically(join(folder, "record.json"), record);
    });
    return record as ModelRecord;
  } finally {
    await tuner.dispose();
  }
}

interface Made {
  readonly recipe: RecipeConfig;
  readonly recipeHash: string;
  readonly facts: readonly Fact[];
  readonly codec: EditCodec;
  readonly training: PretrainingRecord;
}

/** Loads the folder and asks the model every wording of every fact. */
async function examine<Model extends WorkingModel>(
  engine: ModelMaker<Model>,
  folder: string,
  { recipe, recipeHash, facts, codec, training }: Made,
  { signal, onEvent }: PretrainModelOptions,
): Promise<ModelRecord> {
  const model = await engine.loadModel(folder);
  try {
    const recall = await measureRecall(model, facts, codec, {
      batchSize: 512,
      maxNewTokens: recipe.text.maxTargetTokens,
      ...(signal && { signal }),
      ...(onEvent && { onEvent }),
    });
    return toRecord(recipe, recipeHash, facts, recall, training, model.info);
  } finally {
    await model.dispose();
  }
}

function toRecord(
  recipe: RecipeConfig,
  recipeHash: string,
  facts: readonly Fact[],
  recall: Recall,
  training: PretrainingRecord,
  info: ModelInfo,
): ModelRecord {
  return {
    schemaVersion: 1,
    name: recipe.name,
    recipeHash,
    dataChecksum: dataChecksum(facts),
    modelChecksum: info.checksum,
    parameterCount: info.parameterCount,
    dtype: recipe.save.dtype,
    facts: recall.facts,
    wordings: recall.wordings,
    recall: {
      wordings: recall.wordingsRight / recall.wordings,
      facts: recall.factsRight / recall.facts,
    },
    training: { steps: training.steps, wallMs: training.wallMs, history: [...training.history] },
  };
}

const dataChecksum = (facts: readonly Fact[]): string =>
  createHash("sha256").update(JSON.stringify(facts)).digest("hex");

const tokenizerSchema = z.looseObject({
  added_tokens: z.array(z.looseObject({ id: z.int(), content: z.string() })).default([]),
});

/** With the ids a new model's config names: `<pad>` as the tokenizer has it, the stop token as it ends every text. */
async function loadTokenizer(
  path: string,
): Promise<{ readonly tokenizer: Tokenizer; readonly tokens: TokenFacts }> {
  let definition: z.infer<typeof tokenizerSchema>;
  try {
    definition = tokenizerSchema.parse(JSON.parse(await readFile(path, "utf8")));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SeprogError(
      "CONFIG_INVALID",
      `expected the path of a tokenizer.json for \`tokenizer\` but received ${path}: ${reason}`,
      { cause },
    );
  }
  const tokenizer = new Tokenizer(definition, path);
  const padId = definition.added_tokens.find(({ content }) => content === "<pad>")?.id;
  const stopId = tokenizer.encode("a").at(-1);
  if (padId === undefined || stopId === undefined)
    throw new SeprogError(
      "CONFIG_INVALID",
      `expected a tokenizer with a <pad> token and a stop token after every text for \`tokenizer\` but received ${path}`,
    );
  return { tokenizer, tokens: { vocabulary: tokenizer.vocabularySize, padId, stopId } };
}
