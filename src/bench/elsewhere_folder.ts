import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { z } from "zod";
import { SeprogError } from "../errors.js";
import { SUMMARY_SCHEMA_VERSION, type Summary, type SummaryCell } from "../evaluation/records.js";
import { writeJsonAtomically } from "../files.js";
import { type CellData, RUN_FILES, type RunData, readCells, readJson, readRun } from "../report/run_data.js";
import { writeReports } from "../report/write.js";
import { writeAnswerLog } from "./answer_log.js";
import type { Elsewhere, ElsewhereCell } from "./elsewhere.js";
import { LineFile } from "./line_file.js";

export interface WrittenElsewhere {
  readonly run: RunData;
  readonly reports: { readonly markdown: string; readonly html: string };
  readonly answers: string;
}

/** @throws SeprogError CONFIG_INVALID for the folder of a suite's run, whose summary would be lost */
export function refuseSuiteFolder(folder: string): void {
  if (existsSync(join(folder, RUN_FILES.config)))
    throw new SeprogError(
      "CONFIG_INVALID",
      `expected a folder of its own, or one of answers made elsewhere, for \`--out\` but ${folder} holds a run of a suite; name another one`,
    );
}

/**
 * Writes cells beside those that the folder has, then its summary and reports over all of them. A cell takes the place of
 * an earlier one of the same name, data set, K and schedule.
 */
export async function writeElsewhere(
  folder: string,
  { cells, environment }: Elsewhere,
): Promise<WrittenElsewhere> {
  for (const cell of cells) await writeCell(join(folder, RUN_FILES.cells, cellFolder(cell)), cell);
  await writeJsonAtomically(join(folder, RUN_FILES.environment), environment);
  await writeJsonAtomically(join(folder, RUN_FILES.summary), await summarize(folder));
  const run = await readRun(folder);
  const answers = await writeAnswerLog(run);
  return { run, answers, reports: await writeReports(run, folder) };
}

async function writeCell(folder: string, { result, lines }: ElsewhereCell): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await using file = await LineFile.open(join(folder, RUN_FILES.edits));
  for (const line of lines) await file.write(line);
  await file.complete();
  await writeJsonAtomically(join(folder, RUN_FILES.result), result);
}

/** Of the names that people chose, what a path may hold, with a hash of the rest. */
function cellFolder({ result: { cell } }: ElsewhereCell): string {
  const { method, dataset, K, schedule } = cell;
  const name = [method, dataset, `K${K}`, ...(schedule === "simultaneous" ? [] : [schedule])].join("-");
  const plain = name.replaceAll(/[^A-Za-z0-9._-]/g, "_");
  return plain === name ? plain : `${plain}-${createHash("sha256").update(name).digest("hex").slice(0, 6)}`;
}

async function summarize(folder: string): Promise<Summary> {
  const results = (await readCells(folder)).toSorted(inTableOrder).map(({ result }) => result);
  return {
    schemaVersion: SUMMARY_SCHEMA_VERSION,
    suite: basename(resolve(folder)),
    notes: [...new Set(results.flatMap(({ cell, notes }) => notes.map((note) => `${cell.method}: ${note}`)))],
    missing: [],
    overBudget: [],
    models: Object.fromEntries(
      results.flatMap(({ cell: { model }, provenance }) =>
        model === null ? [] : [[model, provenance.modelRecord] as const],
      ),
    ),
    environment: await readJson(join(folder, RUN_FILES.environment), z.record(z.string(), z.json())),
    cells: results.map(({ cell }) => cell),
  };
}

/** By name, data set, schedule and K. */
function inTableOrder({ result: { cell: a } }: CellData, { result: { cell: b } }: CellData): number {
  const text = ({ method, dataset, schedule }: SummaryCell): string =>
    JSON.stringify([method, dataset, schedule]);
  return text(a) < text(b) ? -1 : text(a) > text(b) ? 1 : a.K - b.K;
}
