import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { assetPath } from "../../src/config/paths.js";
import { type RecipeConfig, recipeSchema } from "../../src/config/recipe.js";
import { type MethodConfig, methodSchema } from "../../src/config/suite.js";
import { openEngine } from "../../src/native/engine.js";
import { readDefinition } from "../../src/tokenizers/tokenizer_files.js";
import { type ModelRecord, pretrainModel } from "../../src/training/pretrain_model.js";
import { TINY_FAMILIES, type TinyFamily, type TinyFamilyName, type TinyRecord } from "./tiny_families.js";
import { writeTinyTokenizer } from "./tiny_tokenizers.js";

/** Made-up lands with real capitals, as the T5 of a tiny world knows them. */
export const tinyRecords = (): readonly TinyRecord[] => TINY_FAMILIES.t5.records;

export const TINY_ENGINE = { device: "cpu", threads: 1 } as const;

/** A temporary folder with the records of one family as a file; removed by `dispose`. */
export class TinyWorld implements AsyncDisposable {
  readonly folder: string;
  readonly dataFile: string;
  readonly family: TinyFamily;
  /** Path of the tokenizer that the base model is made with. */
  readonly tokenizer: string;

  private constructor(folder: string, family: TinyFamily, tokenizer: string) {
    this.folder = folder;
    this.dataFile = join(folder, "lands.jsonl");
    this.family = family;
    this.tokenizer = tokenizer;
  }

  static async create(name: TinyFamilyName = "t5"): Promise<TinyWorld> {
    const folder = await mkdtemp(join(tmpdir(), "seprog-e2e-"));
    const family = TINY_FAMILIES[name];
    let tokenizer = assetPath("models", "t5-mini", "tokenizer.json");
    if (name !== "t5") {
      await writeTinyTokenizer(join(folder, "vocabulary"), name, family.records.flatMap(textsOf));
      const { definition } = await readDefinition(join(folder, "vocabulary"));
      tokenizer = join(folder, "tokenizer.json");
      await writeFile(tokenizer, JSON.stringify(definition));
    }
    const world = new TinyWorld(folder, family, tokenizer);
    await writeFile(world.dataFile, family.records.map((record) => JSON.stringify(record)).join("\n"));
    return world;
  }

  path(...steps: string[]): string {
    return join(this.folder, ...steps);
  }

  dispose(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  /** Makes the base model in this process. @param folder below the world's, or elsewhere by its whole path */
  async pretrain(folder: string, overrides: { epochs?: number } = {}): Promise<ModelRecord> {
    await using engine = await openEngine(TINY_ENGINE);
    return await pretrainModel(engine, this.recipe(overrides), {
      recipeDirectory: this.folder,
      outDirectory: resolve(this.folder, folder),
      workDirectory: this.path("pretraining"),
    });
  }

  /** A base model that knows the facts at the end. */
  recipe(overrides: { epochs?: number } = {}): RecipeConfig {
    return recipeSchema.parse({
      name: "tiny",
      tokenizer: this.tokenizer,
      model: this.family.shape,
      datasets: [this.dataFile],
      text: this.family.text,
      training: {
        learningRate: this.family.learningRate,
        warmupSteps: 20,
        epochs: overrides.epochs ?? this.family.epochs,
        batchSize: 16,
        validateEverySteps: 60,
        checkpointEverySteps: 60,
      },
      save: { dtype: "fp32" },
    });
  }

  /** Learns the ten training edits by heart. @param validateEveryEpochs an epoch is 20 steps; by default only at the end */
  method(overrides: { steps?: number; validateEveryEpochs?: number; editor?: object } = {}): MethodConfig {
    return methodSchema.parse({
      editor: { kind: "seprog", hiddenWidth: 256, promptLength: 8, ...overrides.editor },
      training: {
        k: [2],
        editsPerStep: 8,
        labels: "given",
        editPhrasing: "canonical",
        selfShare: 0.5,
        learningRate: 3e-3,
        warmupSteps: 20,
        schedule: "linear",
        steps: overrides.steps ?? 400,
        stepsPerEpoch: 20,
        validateEveryEpochs: overrides.validateEveryEpochs ?? 1000,
        validationEpisodes: 4,
        checkpointEveryEpochs: 1,
      },
    });
  }
}

/** All that a tokenizer of the record needs words for. */
const textsOf = ({ x_e, in_scope, y_e_options, y_loc }: TinyRecord): string[] => [
  x_e,
  ...in_scope.map(({ x }) => x),
  ...y_e_options,
  ...y_loc,
  " >> ",
];
