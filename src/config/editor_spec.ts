import type { ModelSource } from "../editors/model_source.js";
import { coreSpec, counterfactual, type EditorSpec, editorModels, editText } from "../editors/registry.js";
import { resolveModel } from "./paths.js";

/** The model's folder, or null for the base. Throws CONFIG_INVALID. */
const folderOf = (model: ModelSource): string | null =>
  model.source === "directory" ? resolveModel(model.path) : null;

/** Folders of the checkpoints that parts of an editor start from, by option; the base's is not among them. */
export function checkpointFolders(spec: EditorSpec): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(editorModels(spec)).flatMap(([option, model]) => {
      const folder = folderOf(model);
      return folder === null ? [] : [[option, folder] as const];
    }),
  );
}

/** Folder of the model whose tokenizer reads the texts of edits, or null for the base. Throws CONFIG_INVALID. */
export const editReaderFolder = (spec: EditorSpec): string | null => folderOf(editText(spec).reader);

/** Folder of the model that answers behind an edit, or null for the base; undefined for editors without such a model. */
export function counterfactualFolder(spec: EditorSpec): string | null | undefined {
  const model = counterfactual(spec);
  return model && folderOf(model);
}

/** What the engine makes an editor from: the options that apply, folders in place of bundled models' names. */
export function engineSpec(spec: EditorSpec, seed: number) {
  const directories = Object.entries(checkpointFolders(spec)).map(
    ([option, path]) => [option, { source: "directory" as const, path }] as const,
  );
  return { ...coreSpec(spec), ...Object.fromEntries(directories), seed };
}
