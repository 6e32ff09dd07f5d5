import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { engineSpec } from "../config/editor_spec.js";
import { resolveModel } from "../config/paths.js";
import { type EditorSpec, editorModels } from "../editors/registry.js";
import { writeFolderAtomically, writeJsonAtomically } from "../files.js";
import { openEngine } from "../native/engine.js";
import { isShape, type ShapeName, shapeConfig } from "./shapes.js";

/**
 * What the engine makes an editor from. Where a model beside the base is not there but called like a shape
 * (`<models>/t5-small`, `bert-base-uncased`), one of random weights takes its place, made once below `directory`.
 * @throws SeprogError CONFIG_INVALID for a model that is neither
 */
export const shapedEngineSpec = (spec: EditorSpec, seed: number, directory: string) =>
  engineSpecWith(spec, seed, directory, makeModel);

/** The same for an engine that plans: it reads of such a model its config.json alone. */
export const plannedEngineSpec = (spec: EditorSpec, seed: number, directory: string) =>
  engineSpecWith(spec, seed, directory, (shape, path) =>
    writeJsonAtomically(join(path, "config.json"), shapeConfig(shape)),
  );

async function engineSpecWith(
  spec: EditorSpec,
  seed: number,
  directory: string,
  make: (shape: ShapeName, path: string) => Promise<void>,
) {
  let shaped = spec;
  for (const [option, source] of Object.entries(editorModels(spec))) {
    if (source.source === "base") continue;
    const shape = shapeNamed(source.path);
    if (shape === undefined || isThere(source.path)) continue;
    const path = join(directory, shape);
    if (!existsSync(path)) await make(shape, path);
    shaped = { ...shaped, [option]: { source: "directory", path } };
  }
  return engineSpec(shaped, seed);
}

function shapeNamed(path: string): ShapeName | undefined {
  const name = basename(path).replace(/-(un)?cased$/, "");
  return isShape(name) ? name : undefined;
}

function isThere(path: string): boolean {
  try {
    resolveModel(path);
    return true;
  } catch {
    return false;
  }
}

/** Half precision on the disk: it is loaded as fp32 whatever it is. */
async function makeModel(shape: ShapeName, path: string): Promise<void> {
  await using engine = await openEngine({ device: "cpu" });
  const model = await engine.createModel(shapeConfig(shape), { seed: 0 });
  await writeFolderAtomically(path, (folder) => model.save(folder, { dtype: "bf16" }));
}
