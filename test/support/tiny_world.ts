import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assetPath } from "../../src/config/paths.js";
import { type RecipeConfig, recipeSchema } from "../../src/config/recipe.js";
import { type MethodConfig, methodSchema } from "../../src/config/suite.js";

const LANDS = ["Arden", "Belmor", "Corvia", "Dunmar", "Elsora", "Fenwick", "Galdor", "Harnoth"];
const MORE = ["Istria", "Jorvale", "Kestrel", "Lumen", "Morvia", "Norhaven", "Ostmark", "Pellia"];
const TOWNS = ["London", "Paris", "Rome", "Berlin", "Madrid", "Oslo", "Vienna", "Athens"];

/** Made-up lands with real capitals; every fact has three wordings. Splits: 10 train, 3 validation, 3 test. */
export function tinyRecords(): object[] {
  return [...LANDS, ...MORE].map((land, i) => ({
    id: land,
    group: land,
    relation: "capital",
    x_e: `The capital of ${land} is`,
    y_e_options: [TOWNS[(i + 3) % TOWNS.length]],
    in_scope: [
      { x: `${land} has its capital at`, y: "COPY" },
      { x: `The government of ${land} is located in`, y: "COPY" },
    ],
    y_loc: [TOWNS[i % TOWNS.length]],
    split: i < 10 ? "train" : i < 13 ? "validation" : "test",
  }));
}

/** A temporary folder with the records as a file; removed by `dispose`. */
export class TinyWorld {
  readonly folder: string;
  readonly dataFile: string;

  private constructor(folder: string) {
    this.folder = folder;
    this.dataFile = join(folder, "lands.jsonl");
  }

  static async create(): Promise<TinyWorld> {
    const world = new TinyWorld(await mkdtemp(join(tmpdir(), "seprog-e2e-")));
    await writeFile(
      world.dataFile,
      tinyRecords()
        .map((record) => JSON.stringify(record))
        .join("\n"),
    );
    return world;
  }

  path(...steps: string[]): string {
    return join(this.folder, ...steps);
  }

  dispose(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true });
  }

  /** A T5 of two narrow layers that knows the facts after some hundred steps. */
  recipe(overrides: { epochs?: number } = {}): RecipeConfig {
    return recipeSchema.parse({
      name: "tiny",
      tokenizer: assetPath("models", "t5-mini", "tokenizer.json"),
      model: {
        family: "t5",
        hiddenWidth: 48,
        headWidth: 16,
        heads: 3,
        feedForwardWidth: 96,
        encoderLayers: 2,
        decoderLayers: 2,
      },
      datasets: [this.dataFile],
      training: {
        learningRate: 5e-3,
        warmupSteps: 20,
        epochs: overrides.epochs ?? 120,
        batchSize: 16,
        validateEverySteps: 60,
        checkpointEverySteps: 60,
      },
      save: { dtype: "fp32" },
    });
  }

  /** Learns the ten training edits by heart. @param validateEveryEpochs an epoch is 20 steps; by default only at the end */
  method(overrides: { steps?: number; validateEveryEpochs?: number } = {}): MethodConfig {
    return methodSchema.parse({
      editor: { kind: "seprog", hiddenWidth: 256, promptLength: 8 },
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
