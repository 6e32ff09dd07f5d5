import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { z } from "zod";
import { configHash } from "../config/hash.js";
import type { SuiteConfig } from "../config/suite.js";
import { Rng } from "../data/random.js";
import { SeprogError } from "../errors.js";
import { cellResultSchema } from "../evaluation/records.js";
import { RUN_FILES, readEdits } from "../report/run_data.js";
import { type CellTask, suiteCells } from "./grid.js";
import type { ReplayedCell } from "./verify_compare.js";

/** Which records of a run are replayed; all without any. */
export interface RecordChoice {
  /** Names of cells' folders. */
  readonly cells?: readonly string[] | undefined;
  /** So many, drawn with `seed`. */
  readonly sample?: number | undefined;
  readonly seed?: number | undefined;
}

/** Records in their run. */
export interface ChosenRecords {
  readonly runFolder: string;
  /** Names of cells, in the order of their names. */
  readonly cells: readonly string[];
}

/**
 * The records that `path` names: a cell's folder, its result.json, or a run.
 * @throws SeprogError DATA_INVALID where there is none, CONFIG_INVALID for cells that the run does not have
 */
export async function chooseRecords(path: string, choice: RecordChoice): Promise<ChosenRecords> {
  const full = resolve(path);
  const folder = basename(full) === RUN_FILES.result ? dirname(full) : full;
  if (existsSync(join(folder, RUN_FILES.result)))
    return { runFolder: dirname(dirname(folder)), cells: [basename(folder)] };
  const root = join(folder, RUN_FILES.cells);
  const names: string[] = await readdir(root).catch(() => []);
  const measured = names.filter((name) => existsSync(join(root, name, RUN_FILES.result))).sort();
  if (measured.length === 0)
    throw new SeprogError(
      "DATA_INVALID",
      `expected a cell's folder, its ${RUN_FILES.result} or a run with measured cells for \`record\` but received ${path}`,
    );
  const { cells: wanted, sample, seed = 0 } = choice;
  const unknown = wanted?.filter((name) => !measured.includes(name)) ?? [];
  if (unknown.length > 0)
    throw new SeprogError(
      "CONFIG_INVALID",
      `expected measured cells of ${path} for \`--cells\` but received ${unknown.join(", ")}; it has ${measured.join(", ")}`,
    );
  const chosen = wanted ?? measured;
  const drawn =
    sample === undefined
      ? chosen
      : Rng.fromSeed(seed)
          .shuffle([...chosen])
          .slice(0, sample);
  return { runFolder: folder, cells: [...drawn].sort() };
}

/** A record as it was written. @throws SeprogError DATA_INVALID for one that is damaged or has no receipt */
export async function readRecord(runFolder: string, cell: string): Promise<ReplayedCell> {
  const folder = join(runFolder, RUN_FILES.cells, cell);
  const path = join(folder, RUN_FILES.result);
  const parsed = cellResultSchema.safeParse(parseJson(await readFile(path, "utf8")));
  if (!parsed.success)
    throw new SeprogError(
      "DATA_INVALID",
      `expected a record of this version at ${path} but received: ${z.prettifyError(parsed.error)}`,
    );
  const result = parsed.data;
  if (result.receipt === null)
    throw new SeprogError(
      "DATA_INVALID",
      `expected a record with a receipt at ${path} but received one of an older version; measure the cell anew`,
    );
  return { result, receipt: result.receipt, edits: await readEdits(folder) };
}

const configFileSchema = z.strictObject({ configHash: z.string(), config: z.looseObject({}) });

/**
 * The cells of a run's suite by their folders' names, from its config.json.
 * @throws SeprogError DATA_INVALID for a file that is missing or was changed
 */
export async function readTasks(runFolder: string): Promise<ReadonlyMap<string, CellTask>> {
  const path = join(runFolder, RUN_FILES.config);
  const content = parseJson(await readFile(path, "utf8").catch(() => "null"));
  const parsed = configFileSchema.safeParse(content);
  if (!parsed.success || configHash(parsed.data.config) !== parsed.data.configHash)
    throw new SeprogError(
      "DATA_INVALID",
      `expected the configuration of the run at ${path} but received ${content === null ? "no such file" : "one that was changed"}; run the suite again to have it written`,
    );
  // The hash says that this is the suite as this package wrote it.
  const suite: unknown = parsed.data.config;
  return new Map(suiteCells(suite as SuiteConfig).map((task) => [task.name, task]));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
