import { dirname, resolve } from "node:path";
import type { Override } from "./overrides.js";
import { withOverrides } from "./overrides.js";
import { resolveSuite } from "./paths.js";
import { type RecipeConfig, recipeSchema } from "./recipe.js";
import { readConfigFile } from "./source.js";
import { type SuiteConfig, suiteSchema } from "./suite.js";
import { validateConfig } from "./validate.js";

/** A bundled suite's name or a YAML file, with overrides. Throws CONFIG_INVALID with every error and its file:line. */
export function loadSuite(suite: string, overrides: readonly Override[] = []): SuiteConfig {
  return validateConfig(suiteSchema, withOverrides(readConfigFile(resolveSuite(suite)), overrides));
}

/** A pretraining recipe and the folder its relative paths start from. Throws CONFIG_INVALID. */
export function loadRecipe(
  file: string,
  overrides: readonly Override[] = [],
): { readonly recipe: RecipeConfig; readonly directory: string } {
  const recipe = validateConfig(recipeSchema, withOverrides(readConfigFile(file), overrides));
  return { recipe, directory: dirname(resolve(file)) };
}
