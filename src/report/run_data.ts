import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { z } from "zod";
import { SeprogError } from "../errors.js";
import {
  type CellResult,
  cellResultSchema,
  type EditRecordLine,
  editRecordSchema,
  type Summary,
  summarySchema,
} from "../evaluation/records.js";

/** Names of what a run folder holds. */
export const RUN_FILES = {
  config: "config.json",
  environment: "environment.json",
  summary: "summary.json",
  markdown: "report.md",
  html: "report.html",
  cells: "cells",
  episodes: "episodes",
  result: "result.json",
  edits: "edits.jsonl",
  /** The same for people: one question a line, of all cells. */
  answers: "answers.jsonl",
  /** In place of a result, where training took too long. */
  overBudget: "over_budget.json",
  /** In place of a result, where there is none: what is known of why. */
  failure: "failure.json",
  /** What running processes are at; gone when none is. */
  claims: "claims",
} as const;

/** A finished cell with its folder; the edits are read only where they are shown. */
export interface CellData {
  readonly folder: string;
  readonly result: CellResult;
}

/** All of a run that a report shows. */
export interface RunData {
  readonly folder: string;
  readonly summary: Summary;
  /** In the order of the summary. */
  readonly cells: readonly CellData[];
}

/** Throws DATA_INVALID when the folder is no finished run or a file in it is damaged. */
export async function readRun(folder: string): Promise<RunData> {
  const path = join(folder, RUN_FILES.summary);
  if (!existsSync(path)) {
    throw new SeprogError(
      "DATA_INVALID",
      `expected a run folder with ${RUN_FILES.summary} but received ${folder}; make one with seprog-native bench`,
    );
  }
  const summary = await readJson(path, summarySchema);
  const known = new Map((await readCells(folder)).map((cell) => [cell.result.cell.configHash, cell]));
  return { folder, summary, cells: summary.cells.flatMap(({ configHash }) => known.get(configHash) ?? []) };
}

/** The finished cells of a run folder. */
export async function readCells(folder: string): Promise<CellData[]> {
  const root = join(folder, RUN_FILES.cells);
  if (!existsSync(root)) return [];
  const cells: CellData[] = [];
  for (const name of await readdir(root)) {
    const path = join(root, name, RUN_FILES.result);
    if (existsSync(path))
      cells.push({ folder: join(root, name), result: await readJson(path, cellResultSchema) });
  }
  return cells;
}

/** The per-edit records of a cell. Throws DATA_INVALID with file:line. */
export async function readEdits(cellFolder: string): Promise<EditRecordLine[]> {
  const path = join(cellFolder, RUN_FILES.edits);
  const lines = (await readFile(path, "utf8")).split("\n");
  return lines.flatMap((line, index) =>
    line === "" ? [] : [parse(line, editRecordSchema, `${path}:${index + 1}`)],
  );
}

/** Throws DATA_INVALID where the file does not hold what the schema says. */
export async function readJson<Schema extends z.ZodType>(
  path: string,
  schema: Schema,
): Promise<z.output<Schema>> {
  return parse(await readFile(path, "utf8"), schema, path);
}

function parse<Schema extends z.ZodType>(text: string, schema: Schema, place: string): z.output<Schema> {
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SeprogError(
      "DATA_INVALID",
      `expected a record of this version at ${place} but received: ${reason}`,
      { cause },
    );
  }
}
