import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { type CellTask, modelLabel, suiteCells } from "../bench/grid.js";
import { planCells } from "../bench/plan.js";
import { configHash } from "../config/hash.js";
import { resolveModel } from "../config/paths.js";
import type { SuiteConfig } from "../config/suite.js";
import { coreSpec, isTrained } from "../editors/registry.js";
import { type CellResult, cellResultSchema } from "../evaluation/records.js";
import { PROFILE_FILES } from "../report/profile/profile_run.js";
import { RUN_FILES } from "../report/run_data.js";
import type { TokensEach } from "./even_lengths.js";
import type { ProfiledModel, ProfileRepetitions, ShapedModel } from "./job.js";
import type { EditingQuality } from "./record.js";
import { type ShapeName, shapeConfig } from "./shapes.js";

/** As the engine reads it; other fields of a config.json say nothing of sizes. */
const configSchema = z.record(z.string(), z.json());

/** Raised when a change of the code makes profiles taken before it mean something else. */
const PROFILE_VERSION = 1;

/** A cell with what it is profiled with and where it goes. */
export interface ProfileCell {
  readonly task: CellTask;
  readonly model: ProfiledModel;
  readonly editorDirectory: string | null;
  readonly quality: EditingQuality | null;
  readonly hash: string;
  readonly folder: string;
}

export interface ProfileCellOptions extends ProfileRepetitions {
  /** The run's. */
  readonly folder: string;
  readonly k: readonly number[];
  /** A bench run whose trained editors are used. */
  readonly benchFolder?: string | undefined;
  readonly engine: { readonly device: string; readonly threads?: number; readonly deterministic?: boolean };
}

/** The suite at other K, whatever its own, and with its first seed alone. */
export const atK = (suite: SuiteConfig, k: readonly number[]): SuiteConfig => ({
  ...suite,
  datasets: suite.datasets.map((dataset) => ({ ...dataset, k, seeds: dataset.seeds.slice(0, 1) })),
});

/** Every method × data set × K, on the suite's models. @throws SeprogError for models and data that cannot be read */
export async function suiteProfileCells(
  suite: SuiteConfig,
  options: ProfileCellOptions,
): Promise<ProfileCell[]> {
  const { folder, benchFolder, k } = options;
  const editorsRoot = editorsFolder(benchFolder ?? folder);
  const plan = await planCells(atK(suite, k), { folder, editorsRoot, retrain: false });
  const cells: ProfileCell[] = [];
  for (const { task, model, editor, hash } of plan) {
    const fingerprint = editor.found?.fingerprint ?? null;
    const benched = benchFolder === undefined ? undefined : await benchedCell(benchFolder, task, fingerprint);
    const tuned = withTunedOption(task, benched);
    cells.push({
      task: tuned,
      model: { kind: "folder", ...model },
      editorDirectory: editor.found?.folder ?? null,
      quality: qualityOf(benched),
      hash: cellHash([hash, fingerprint], tuned, options),
      folder: join(folder, PROFILE_FILES.profiles, task.name),
    });
  }
  return cells;
}

/** What editing came to in the run, where both figures are known. */
function qualityOf(benched: CellResult | undefined): EditingQuality | null {
  if (benched === undefined) return null;
  const { ES, DD } = benched.cell;
  return DD && { ES, DD };
}

/** Of a run, or the very folder that bench was told to keep editors in. */
const editorsFolder = (folder: string): string =>
  existsSync(join(folder, "editors")) ? join(folder, "editors") : folder;

/** A cell on a model of which the sizes alone are known. */
export interface ShapedCell {
  readonly task: CellTask;
  readonly model: ShapedModel;
}

/** Every method × data set × K on models like the suite's, of random weights and random ids. */
export async function cellsLikeSuite(
  suite: SuiteConfig,
  k: readonly number[],
  tokens: TokensEach,
): Promise<ShapedCell[]> {
  return Promise.all(
    suiteCells(atK(suite, k)).map(async (task) => {
      const path = join(resolveModel(task.model), "config.json");
      const config = configSchema.parse(JSON.parse(await readFile(path, "utf8")));
      return { task, model: { kind: "shape", name: modelLabel(task.model), config, tokens } as const };
    }),
  );
}

/** Every method of the suite's first data set × shape × K, on models of random weights and random ids. */
export function shapedCells(
  suite: SuiteConfig,
  shapes: readonly ShapeName[],
  k: readonly number[],
  tokens: TokensEach,
): ShapedCell[] {
  const first = { ...suite, datasets: suite.datasets.slice(0, 1) };
  return shapes.flatMap((name) => {
    const model: ShapedModel = { kind: "shape", name, config: shapeConfig(name), tokens };
    return suiteCells(atK(first, k)).map((task) => ({ task, model }));
  });
}

export function shapeProfileCells(
  suite: SuiteConfig,
  shapes: readonly ShapeName[],
  tokens: TokensEach,
  options: ProfileCellOptions,
): ProfileCell[] {
  return shapedCells(suite, shapes, options.k, tokens).map(({ task, model }) => ({
    task,
    model,
    editorDirectory: null,
    quality: null,
    hash: cellHash([model, task.K, task.seed], task, options),
    folder: join(
      options.folder,
      PROFILE_FILES.profiles,
      `${task.editor.methodName}-${model.name}-K${task.K}-s${task.seed}`,
    ),
  }));
}

/** Everything that decides a record but the machine. */
function cellHash(
  identity: readonly unknown[],
  { editor: { method }, baseDtype }: CellTask,
  { warmUps, repetitions, rounds, engine }: ProfileCellOptions,
): string {
  return configHash({
    version: PROFILE_VERSION,
    identity,
    editor: coreSpec(method.editor),
    ...(isTrained(method.editor) && { training: method.training }),
    warmUps,
    repetitions,
    rounds,
    engine,
    ...(baseDtype !== "fp32" && { baseDtype }),
  });
}

/** What a bench run found of this method, with this editor, on this model; undefined where it has no such cell. */
async function benchedCell(
  benchFolder: string,
  { name, model }: CellTask,
  fingerprint: string | null,
): Promise<CellResult | undefined> {
  const path = join(benchFolder, RUN_FILES.cells, name, RUN_FILES.result);
  if (!existsSync(path)) return undefined;
  const { success, data } = cellResultSchema.safeParse(JSON.parse(await readFile(path, "utf8")));
  const isSame =
    success && data.cell.model === modelLabel(model) && data.provenance.editorFingerprint === fingerprint;
  return isSame ? data : undefined;
}

/** With the value that the bench run chose; else with the method's own. */
function withTunedOption(task: CellTask, benched: CellResult | undefined): CellTask {
  const value = benched?.tuning?.value;
  const chosen = task.tune?.candidates.find((candidate) => candidate.value === value);
  if (chosen === undefined) return task;
  const { editor } = task;
  return { ...task, editor: { ...editor, method: { ...editor.method, editor: chosen.editor } } };
}
