import { existsSync, readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { configHash } from "../config/hash.js";
import { assetPath } from "../config/paths.js";
import { methodSchema, textSchema } from "../config/suite.js";
import { parseDatasetSpec } from "../data/dataset_spec.js";
import { coreSpec, isTrained, trainingSpec } from "../editors/registry.js";
import { SeprogError } from "../errors.js";

export const TRAINED_FILE = "trained.json";

/** Raised when a change of the code makes editors trained before it mean something else. */
export const TRAINING_VERSION = 1;

/** What stands beside a trained editor's weights: enough to use it without the suite that made it. */
export const trainedSchema = z.strictObject({
  schemaVersion: z.literal(1),
  trainingVersion: z.int(),
  methodName: z.string(),
  method: methodSchema,
  /** Data sets it was trained on, and the checksums of what they held. */
  datasets: z.array(z.string()),
  data: z.array(z.string()),
  seed: z.int(),
  text: textSchema,
  /** The base model as the suite named it, and the checksum of its weights. */
  model: z.strictObject({ name: z.string(), checksum: z.string() }),
  /** Checksums of the checkpoints that parts of it started from, by option; the base model is not among them. */
  checkpoints: z.record(z.string(), z.string()).optional(),
  fingerprint: z.string(),
  training: z.strictObject({
    steps: z.int(),
    reason: z.enum(["completed", "early-stopped"]),
    bestStep: z.int(),
    bestLoss: z.number(),
    wallMs: z.number(),
  }),
});
export type TrainedEditor = z.infer<typeof trainedSchema>;

/** All that decides an editor's weights. */
export type EditorOrigin = Pick<
  TrainedEditor,
  "trainingVersion" | "method" | "datasets" | "data" | "seed" | "text" | "checkpoints"
> & {
  readonly model: { readonly checksum: string };
};

/** Files are what they hold, wherever they stand; bundled variants may be read from the same files. */
export function datasetIdentity(dataset: string): string {
  const spec = parseDatasetSpec(dataset);
  switch (spec.kind) {
    case "file":
      return "file";
    case "official":
      return `${spec.name}:files`;
    case "embedded":
      return spec.name;
  }
}

/**
 * The name an editor is found by: 16 hex digits over everything it is made from, defaults filled in. An option that a
 * later version adds changes no name as long as its default means what was done before. Variants that only use a trained
 * editor in another way have the name of the one they use.
 */
export function editorHash({
  trainingVersion,
  method,
  datasets,
  data,
  seed,
  text,
  model,
  checkpoints,
}: EditorOrigin): string {
  const { checkpointEveryEpochs: _, ...training } = method.training;
  return configHash({
    version: trainingVersion,
    model: model.checksum,
    // A checkpoint is what it holds, wherever it stands.
    editor: { ...coreSpec(trainingSpec(method.editor)), ...checkpoints },
    ...(isTrained(method.editor) && {
      training: { ...training, datasets: datasets.map(datasetIdentity) },
      data,
    }),
    text,
    seed,
  });
}

/** Throws CHECKPOINT_INVALID when the folder holds no trained editor of this version. */
export async function readTrained(folder: string): Promise<TrainedEditor> {
  const path = join(folder, TRAINED_FILE);
  try {
    return trainedSchema.parse(JSON.parse(await readFile(path, "utf8")));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SeprogError(
      "CHECKPOINT_INVALID",
      `expected a trained editor (${TRAINED_FILE}) in ${folder} but received: ${reason}; make one with seprog-native train`,
      { cause },
    );
  }
}

/** The folder of the editor made from exactly this configuration, among `roots` and the bundled ones. */
export function findTrained(hash: string, roots: readonly string[]): Promise<string | undefined> {
  return find((trained) => editorHash(trained) === hash, roots);
}

/** The folder of the editor with these very weights, among `roots` and the bundled ones. */
export function findByFingerprint(
  fingerprint: string,
  roots: readonly string[],
): Promise<string | undefined> {
  return find((trained) => trained.fingerprint === fingerprint, roots);
}

async function find(
  isIt: (trained: TrainedEditor) => boolean,
  roots: readonly string[],
): Promise<string | undefined> {
  for (const root of [...roots, assetPath("editors")]) {
    for (const folder of subfolders(root)) {
      const trained = await readTrained(folder).catch(() => undefined);
      if (trained && isIt(trained)) return folder;
    }
  }
  return undefined;
}

/** The bundled editors, by folder name. */
export function bundledEditors(): string[] {
  return subfolders(assetPath("editors"));
}

function subfolders(root: string): string[] {
  if (!existsSync(root)) return [];
  return readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(root, entry.name, TRAINED_FILE)))
    .map((entry) => join(root, entry.name))
    .sort();
}
