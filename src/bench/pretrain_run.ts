import type { RecipeConfig } from "../config/recipe.js";
import { openEngine } from "../native/engine.js";
import { type ModelRecord, type PretrainModelOptions, pretrainModel } from "../training/pretrain_model.js";
import type { EngineChoice } from "./job.js";

/** Makes a base model from a recipe on an engine of its own. Throws as `pretrainModel`. */
export async function pretrainFromRecipe(
  recipe: RecipeConfig,
  engine: EngineChoice,
  options: PretrainModelOptions,
): Promise<ModelRecord> {
  await using opened = await openEngine(engine);
  return await pretrainModel(opened, recipe, options);
}
