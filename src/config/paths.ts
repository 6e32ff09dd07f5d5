import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { SeprogError } from "../errors.js";
import { didYouMean } from "./suggest.js";

/** Where package.json stands; the same from src/ and from dist/. */
export const packageRoot = fileURLToPath(new URL("../../", import.meta.url));

export const assetPath = (...steps: string[]): string => join(packageRoot, "assets", ...steps);

/** Names of the base models that come with the package. */
export function bundledModels(): string[] {
  return listFolders(assetPath("models")).filter((name) =>
    existsSync(assetPath("models", name, "config.json")),
  );
}

/** The recipe of a base model that comes with the package, whether the model has been made or not. */
export function bundledRecipe(model: string): string | undefined {
  const recipe = assetPath("models", model, "recipe.yaml");
  return /^[A-Za-z0-9._-]+$/.test(model) && existsSync(recipe) ? recipe : undefined;
}

/** Names of the suites that come with the package. */
export function bundledSuites(): string[] {
  const folder = join(packageRoot, "bench", "suites");
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith(".yaml"))
    .map((file) => file.slice(0, -".yaml".length))
    .sort();
}

/** The folder of a base model, by bundled name or by path. Throws CONFIG_INVALID when there is none. */
export function resolveModel(model: string): string {
  const bundled = assetPath("models", model);
  if (/^[A-Za-z0-9._-]+$/.test(model) && existsSync(join(bundled, "config.json"))) return bundled;
  const folder = resolve(model);
  if (existsSync(join(folder, "config.json"))) return folder;
  const names = bundledModels();
  throw new SeprogError(
    "CONFIG_INVALID",
    `expected a bundled model (${names.join(", ") || "none here"}) or a folder with config.json for \`model\` but received ${JSON.stringify(model)}${didYouMean(model, names)}`,
  );
}

/** The file of a suite, by bundled name or by path. Throws CONFIG_INVALID when there is none. */
export function resolveSuite(suite: string): string {
  const names = bundledSuites();
  if (names.includes(suite)) return join(packageRoot, "bench", "suites", `${suite}.yaml`);
  if (existsSync(suite)) return suite;
  throw new SeprogError(
    "CONFIG_INVALID",
    `expected a bundled suite (${names.join(", ")}) or a YAML file for \`--suite\` but received ${JSON.stringify(suite)}${didYouMean(suite, names)}`,
  );
}

function listFolders(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}
