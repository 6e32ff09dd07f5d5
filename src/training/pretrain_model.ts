import { createHash } from "node:crypto";
import { copyFile, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { z } from "zod";
import { configHash } from "../config/hash.js";
import type { RecipeConfig } from "../config/recipe.js";
import { loadBackground, type Statement } from "../data/background.js";
import { loadPassages } from "../data/passages.js";
import { loadDataset } from "../data/registry.js";
import { SPLITS, type Split } from "../data/types.js";
import { SeprogError } from "../errors.js";
import { addFilesAtomically, writeFileAtomically, writeJsonAtomically } from "../files.js";
import { huggingFaceConfig, type TokenFacts } from "../models/registry.js";
import type { ModelInfo, Spec } from "../native/addon.js";
import { EditCodec } from "../tokenizers/edit_codec.js";
import { Tokenizer } from "../tokenizers/tokenizer.js";
import type { OnEvent } from "./events.js";
import { factTask } from "./fact_task.js";
import { type Fact, factsOf, type TaughtDataset } from "./facts.js";
import { languageTask, perplexityOf, type TokenStream, windowsOf } from "./language_task.js";
import { pretrain, type TrainableModel } from "./pretrain.js";
import type { Examined, PretrainingTask } from "./pretraining_task.js";
import { measureRecall } from "./recall.js";

interface WorkingModel extends Examined {
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
  recall: z.strictObject({ wordings: share, facts: share }).nullable(),
  /** The same apart for each data set and split, those that were not taught included, and for its background. */
  accuracy: z
    .array(
      z.strictObject({
        dataset: z.string(),
        split: z.enum([...SPLITS, "background"]),
        /** Share of its groups that was taught. */
        taught: share,
        facts: z.int(),
        wordings: z.int(),
        recall: z.strictObject({ wordings: share, facts: share }),
      }),
    )
    .default([]),
  /** Of a language model: exp of the mean −ln p over the tokens of windows that follow one another. */
  perplexity: z
    .array(
      z.strictObject({
        split: z.enum(["train", "validation", "test"]),
        taught: z.boolean(),
        tokens: z.int(),
        value: z.number(),
      }),
    )
    .default([]),
  training: z.strictObject({
    steps: z.int(),
    wallMs: z.number(),
    history: z.array(
      z.strictObject({ step: z.int(), recall: z.number().optional(), perplexity: z.number().optional() }),
    ),
  }),
});
export type ModelRecord = z.infer<typeof modelRecordSchema>;

/** What a recipe teaches, as its saved model is examined on it. */
interface Lesson {
  readonly checksum: string;
  readonly task: PretrainingTask;
  /** What the saved model knows. */
  examine(model: Examined, options: PretrainModelOptions): Promise<Knowledge>;
}

type Knowledge = Pick<ModelRecord, "facts" | "wordings" | "recall" | "accuracy" | "perplexity">;

/**
 * Makes a base model from a recipe: trains it, saves it, loads what was saved and examines it.
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
  const start = await engine.createModel(huggingFaceConfig(recipe.model, tokens), { seed: recipe.seed });
  const codec = new EditCodec(tokenizer, start.info, recipe.text);
  const { optimizer, clipNorm } = recipe.training;
  const tuner = await engine.createFineTuner({ optimizer, clipNorm }, start);
  await start.dispose();
  try {
    const lesson =
      recipe.passages === null
        ? await factLesson(recipe, codec, options)
        : await languageLesson(recipe, recipe.passages.windowTokens, tokenizer, tokens);
    const recipeHash = configHash({ recipe, data: lesson.checksum });
    const training = await pretrain(
      { tuner, task: lesson.task, recipe },
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
      const saved = await engine.loadModel(folder);
      try {
        record = {
          schemaVersion: 1,
          name: recipe.name,
          recipeHash,
          dataChecksum: lesson.checksum,
          modelChecksum: saved.info.checksum,
          parameterCount: saved.info.parameterCount,
          dtype: recipe.save.dtype,
          ...(await lesson.examine(saved, options)),
          training: { steps: training.steps, wallMs: training.wallMs, history: [...training.history] },
        };
      } finally {
        await saved.dispose();
      }
      await writeJsonAtomically(join(folder, "record.json"), record);
    });
    return record as ModelRecord;
  } finally {
    await tuner.dispose();
  }
}

async function factLesson(
  recipe: RecipeConfig,
  codec: EditCodec,
  { onEvent }: PretrainModelOptions,
): Promise<Lesson> {
  const taught: TaughtDataset[] = [];
  const backgrounds: { readonly dataset: string; readonly facts: readonly Fact[] }[] = [];
  for (const { name, splits, share, background } of recipe.datasets) {
    taught.push({ dataset: await loadDataset(name), splits, share });
    if (background)
      backgrounds.push({ dataset: name, facts: (await loadBackground(name)).map(statementFact) });
  }
  const facts = [
    ...factsOf(taught, recipe.maxFacts, recipe.seed),
    ...backgrounds.flatMap((background) => background.facts),
  ];
  if (facts.length === 0)
    throw new SeprogError("DATA_INVALID", "expected at least one fact in `datasets` but received none");
  return {
    checksum: checksumOf(facts),
    task: await factTask(facts, codec, recipe, onEvent),
    examine: async (model, options) => {
      const ask = async (asked: readonly Fact[]) => {
        const recall = await measureRecall(model, asked, codec, {
          batchSize: 512,
          maxNewTokens: recipe.text.maxTargetTokens,
          ...(options.signal && { signal: options.signal }),
          ...(options.onEvent && { onEvent: options.onEvent }),
        });
        return {
          facts: recall.facts,
          wordings: recall.wordings,
          recall: {
            wordings: recall.wordingsRight / recall.wordings,
            facts: recall.factsRight / recall.facts,
          },
        };
      };
      const accuracy: ModelRecord["accuracy"] = [];
      for (const { dataset, splits, share } of taught)
        for (const split of SPLITS) {
          const asked = factsOf([{ dataset, splits: [split], share: 1 }], null, recipe.seed);
          if (asked.length > 0)
            accuracy.push({
              dataset: dataset.name,
              split,
              taught: splits.includes(split) ? share : 0,
              ...(await ask(asked)),
            });
        }
      for (const { dataset, facts } of backgrounds)
        accuracy.push({ dataset, split: "background", taught: 1, ...(await ask(facts)) });
      return { ...(await ask(facts)), accuracy, perplexity: [] };
    },
  };
}

const statementFact = ({ x, y }: Statement): Fact => ({ wordings: [x], answers: [y] });

async function languageLesson(
  recipe: RecipeConfig,
  windowTokens: number,
  tokenizer: Tokenizer,
  { stopId }: TokenFacts,
): Promise<Lesson> {
  const passages = await loadPassages();
  const streams = SPLITS.map((split): [Split, TokenStream] => [
    split,
    Int32Array.from(passages[split].flatMap(({ text }) => [...tokenizer.encode(text), stopId])),
  ]);
  const { train, validation } = Object.fromEntries(streams) as Record<Split, TokenStream>;
  return {
    checksum: checksumOf(passages),
    task: languageTask(train, validation, recipe, windowTokens),
    examine: async (model, { signal }) => {
      const perplexity: ModelRecord["perplexity"] = [];
      for (const [split, stream] of streams) {
        const measured = await perplexityOf(model, windowsOf(stream, windowTokens), signal && { signal });
        perplexity.push({ split, taught: split === "train", ...measured });
      }
      return { facts: 0, wordings: 0, recall: null, accuracy: [], perplexity };
    },
  };
}

const checksumOf = (content: unknown): string =>
  createHash("sha256").update(JSON.stringify(content)).digest("hex");

const tokenizerSchema = z.looseObject({
  added_tokens: z.array(z.looseObject({ id: z.int(), content: z.string() })).default([]),
});

const PAD_TOKENS: readonly string[] = ["<pad>", "[PAD]"];
/** Byte-level vocabularies of language models have one special token for everything. */
const END_OF_TEXT = "<|endoftext|>";

/**
 * With the ids a new model's config names: the pad token as the tokenizer has it, the stop token as it ends every
 * text; both the end-of-text token where that is the only special one.
 */
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
  const specialId = (contents: readonly string[]): number | undefined =>
    definition.added_tokens.find(({ content }) => contents.includes(content))?.id;
  const endOfText = specialId([END_OF_TEXT]);
  const padId = specialId(PAD_TOKENS) ?? endOfText;
  const stopId = endOfText ?? tokenizer.encode("a").at(-1);
  if (padId === undefined || stopId === undefined)
    throw new SeprogError(
      "CONFIG_INVALID",
      `expected a tokenizer with a pad token (${[...PAD_TOKENS, END_OF_TEXT].join(", ")}) for \`tokenizer\` but received ${path}`,
    );
  return { tokenizer, tokens: { vocabulary: tokenizer.vocabularySize, padId, stopId } };
}
