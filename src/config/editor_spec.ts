import { coreSpec, type EditorSpec } from "../editors/registry.js";
import { resolveModel } from "./paths.js";

/** Folder of the edit encoder's own checkpoint, or null where it starts from the base's. Throws CONFIG_INVALID. */
export function editEncoderFolder({ editEncoder }: EditorSpec): string | null {
  return editEncoder.source === "directory" ? resolveModel(editEncoder.path) : null;
}

/** What the engine makes an editor from: the options that apply, folders in place of bundled models' names. */
export function engineSpec(spec: EditorSpec, seed: number) {
  const path = editEncoderFolder(spec);
  return {
    ...coreSpec(spec),
    ...(path !== null && { editEncoder: { source: "directory" as const, path } }),
    seed,
  };
}
