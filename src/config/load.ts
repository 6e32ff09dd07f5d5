import { dirname, resolve } from "node:path";
import { buildSuite } from "./build_suite.js";
import type { Override } from "./overrides.js";
import { withOverrides } from "./overrides.js";
import { resolveSuite } from "./paths.js";
import { type RecipeConfig, recipeSchema } from "./recipe.js";
import { type Roots, usesRoot, withRoots } from "./roots.js";
import { readConfigFile } from "./source.js";
import type { SuiteConfig } from "./suite.js";
import { validateConfig } from "./validate.js";

/** A bundled suite's name or a YAML file, with overrides. Throws CONFIG_INVALID with every error and its file:line. */
export function loadSuite(
  suite: string,
  overrides: readonly Override[] = [],
  roots: Roots = {},
): SuiteConfig {
  const source = withRoots(readConfigFile(resolveSuite(suite)), roots);
  return buildSuite(source, overrides);
}

/** Whether a suite's data are official files below a folder that the user names. Throws CONFIG_INVALID. */
export function wantsDataFolder(suite: string): boolean {
  return usesRoot(readConfigFile(resolveSuite(suite)).value, "data");
}

/** A pretraining recipe and the folder its relative paths start from. Throws CONFIG_INVALID. */
export function loadRecipe(
  file: string,
  overrides: readonly Override[] = [],
): { readonly recipe: RecipeConfig; readonly directory: string } {
  const recipe = validateConfig(recipeSchema, withOverrides(readConfigFile(file), overrides));
  return { recipe, directory: dirname(resolve(file)) };
}
