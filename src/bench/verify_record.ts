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

/** A kind of run: the folder below it where each cell has one, and the file there that is the record. */
export interface RecordForm {
  readonly cells: string;
  readonly record: string;
}

export const BENCH_RECORDS: RecordForm = { cells: RUN_FILES.cells, record: RUN_FILES.result };

/** Records in their run. */
export interface ChosenRecords {
  readonly runFolder: string;
  /** Names of cells, in the order of their names. */
  readonly cells: readonly string[];
}

/**
 * The records that `path` names: a cell's folder, its record, or a run.
 * @throws SeprogError DATA_INVALID where there is none, CONFIG_INVALID for cells that the run does not have
 */
export async function chooseRecords(
  path: string,
  choice: RecordChoice,
  form: RecordForm = BENCH_RECORDS,
): Promise<ChosenRecords> {
  const full = resolve(path);
  const folder = basename(full) === form.record ? dirname(full) : full;
  if (existsSync(join(folder, form.record)))
    return { runFolder: dirname(dirname(folder)), cells: [basename(folder)] };
  const root = join(folder, form.cells);
  const names: string[] = await readdir(root).catch(() => []);
  const measured = names.filter((name) => existsSync(join(root, name, form.record))).sort();
  if (measured.length === 0)
    throw new SeprogError(
      "DATA_INVALID",
      `expected a cell's folder, its ${form.record} or a run with measured cells for \`record\` but received ${path}`,
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
  if (result.cell.origin !== null)
    throw new SeprogError(
      "UNSUPPORTED",
      `expected a record of an editor of this package but ${path} is of answers made elsewhere; evaluate them again into another folder and compare the two with report`,
    );
  if (result.receipt === null)
    throw new SeprogError(
      "DATA_INVALID",
      `expected a record with a receipt at ${path} but received one of an older version; measure the cell anew`,
    );
  return { result, receipt: result.receipt, edits: await readEdits(folder) };
}

const configFileSchema = z.strictObject({ configHash: z.string(), config: z.looseObject({}) });

/** The cells of a run's suite by their folders' names, from its config.json. @throws as `readConfig` */
export async function readTasks(runFolder: string): Promise<ReadonlyMap<string, CellTask>> {
  const suite = (await readConfig(runFolder)) as SuiteConfig;
  return new Map(suiteCells(suite).map((task) => [task.name, task]));
}

/**
 * What config.json says; its hash proves that it is as this package wrote it.
 * @throws SeprogError DATA_INVALID for a file that is missing or was changed
 */
export async function readConfig(runFolder: string): Promise<unknown> {
  const path = join(runFolder, RUN_FILES.config);
  const content = parseJson(await readFile(path, "utf8").catch(() => "null"));
  const parsed = configFileSchema.safeParse(content);
  if (parsed.success && configHash(parsed.data.config) === parsed.data.configHash) return parsed.data.config;
  throw new SeprogError(
    "DATA_INVALID",
    `expected the configuration of the run at ${path} but received ${content === null ? "no such file" : "one that was changed"}; run the suite again to have it written`,
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
