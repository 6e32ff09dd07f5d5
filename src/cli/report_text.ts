import { SeprogError } from "../errors.js";
import { compareProfiles } from "../report/comparison/compare_profiles.js";
import { compareRuns } from "../report/comparison/compare_runs.js";
import {
  type Comparison,
  changedTable,
  inShort,
  receiptDifferences,
} from "../report/comparison/comparison.js";
import { comparisonFormats, profileFormats, type ReportFormats, runFormats } from "../report/formats.js";
import { isProfileRun, readProfileRun } from "../report/profile/profile_run.js";
import { profileTables } from "../report/profile/profile_tables.js";
import { writeProfileReports } from "../report/profile/write_profile.js";
import { readRun } from "../report/run_data.js";
import { textTable } from "../report/text_table.js";
import { writeReports } from "../report/write.js";
import { printTables } from "./result_table.js";

const say = (text: string): void => void process.stdout.write(`${text}\n`);

/** Prints a bench run's tables and writes its reports into `out`. */
export async function runReport(folder: string, out: string): Promise<ReportFormats> {
  const run = await readRun(folder);
  const paths = await writeReports(run, out);
  printTables(run);
  say(`\nWrote ${paths.markdown} and ${paths.html}`);
  return runFormats(run);
}

/** Prints a profile run's tables and writes its reports into `out`. */
export async function profileReport(folder: string, out: string): Promise<ReportFormats> {
  const run = await readProfileRun(folder);
  const paths = await writeProfileReports(run, out);
  for (const table of profileTables(run)) say(`\n${textTable(table)}`);
  say(`\nWrote ${paths.markdown}, ${paths.html} and ${paths.csv}`);
  return profileFormats(run);
}

/** Prints what changed from one run to the other. Throws DATA_INVALID for runs of two kinds. */
export async function compareReport(before: string, after: string): Promise<ReportFormats> {
  const comparison = await compare(before, after);
  say(`${comparison.before} → ${comparison.after}`);
  for (const text of [inShort(comparison), ...comparison.remarks]) say(text);
  const changed = changedTable(comparison);
  for (const table of [...(changed === null ? [] : [changed]), ...comparison.moreTables])
    say(`\n${textTable(table)}`);
  for (const name of comparison.onlyBefore) say(`only in ${comparison.before}: ${name}`);
  for (const name of comparison.onlyAfter) say(`only in ${comparison.after}: ${name}`);
  for (const [name, change] of receiptDifferences(comparison)) say(`${name}: ${change}`);
  return comparisonFormats(comparison);
}

async function compare(before: string, after: string): Promise<Comparison> {
  const [first, second] = [isProfileRun(before), isProfileRun(after)];
  if (first !== second) {
    throw new SeprogError(
      "DATA_INVALID",
      `expected two runs of one kind but received ${first ? "a profile" : "a bench"} run (${before}) and ${second ? "a profile" : "a bench"} run (${after})`,
    );
  }
  return first
    ? compareProfiles(await readProfileRun(before), await readProfileRun(after))
    : compareRuns(await readRun(before), await readRun(after));
}
