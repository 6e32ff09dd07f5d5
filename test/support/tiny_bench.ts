import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  runSuite,
  type SuiteEvent,
  type SuiteRun,
  type SuiteRunOptions,
} from "../../src/bench/suite_runner.js";
import { packageRoot } from "../../src/config/paths.js";
import {
  type CellResult,
  cellResultSchema,
  type EditRecordLine,
  editRecordSchema,
} from "../../src/evaluation/records.js";
import { suiteOf } from "./suite_of.js";
import { TINY_ENGINE } from "./tiny_world.js";

/** A run with what it left in its folder. */
export interface TinyRun extends SuiteRun {
  readonly events: readonly SuiteEvent[];
  /** `result.json` of every cell, by method. */
  readonly results: ReadonlyMap<string, CellResult>;
  readonly lines: readonly EditRecordLine[];
  /** Names of the folders below `editors`. */
  readonly editors: readonly string[];
}

/** Runs a suite of one data set, K and seed, every job in a process of its own. */
export async function runTinySuite(
  folder: string,
  content: object,
  more: Pick<SuiteRunOptions, "budgetMinutes"> = {},
): Promise<TinyRun> {
  const events: SuiteEvent[] = [];
  const run = await runSuite(suiteOf(content), {
    folder,
    engine: TINY_ENGINE,
    jobs: 1,
    fresh: false,
    retrain: false,
    // The built package's: a process of its own runs JavaScript only.
    worker: join(packageRoot, "dist", "bench", "worker.js"),
    onEvent: (event) => events.push(event),
    ...more,
  });
  const cells = join(folder, "cells");
  const results = new Map<string, CellResult>();
  const lines: EditRecordLine[] = [];
  for (const name of await readdir(cells)) {
    if (!existsSync(join(cells, name, "result.json"))) continue;
    const result = cellResultSchema.parse(
      JSON.parse(await readFile(join(cells, name, "result.json"), "utf8")),
    );
    results.set(result.cell.method, result);
    const text = await readFile(join(cells, name, "edits.jsonl"), "utf8");
    lines.push(
      ...text
        .trimEnd()
        .split("\n")
        .map((line) => editRecordSchema.parse(JSON.parse(line))),
    );
  }
  return { ...run, events, results, lines, editors: await readdir(join(folder, "editors")).catch(() => []) };
}
