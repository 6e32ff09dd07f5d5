import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { z } from "zod";
import { SeprogError } from "../../errors.js";
import type { ProfileRecord } from "../../profile/record.js";
import { readJson } from "../run_data.js";
import { profileFailureSchema, profileRecordSchema, type ReportedFailure } from "./record_schema.js";

/** Names of what a profile run's folder holds beside the reports. */
export const PROFILE_FILES = {
  config: "config.json",
  environment: "environment.json",
  profiles: "profiles",
  record: "profile.json",
  /** Folder of the rounds measured so far, while the record is not complete. */
  rounds: "rounds",
  /** In place of a record, where a cell could not be profiled. */
  failure: "failure.json",
  markdown: "report.md",
  html: "report.html",
  csv: "report.csv",
} as const;

/** All of a profile run that a report shows. */
export interface ProfileRun {
  readonly folder: string;
  readonly name: string;
  /** SEPROG first, then by name; rising K. */
  readonly records: readonly ProfileRecord[];
  readonly failures: readonly ReportedFailure[];
  readonly environment: { readonly [key: string]: unknown };
}

/** Whether the folder holds profiles and not the cells of a bench. */
export const isProfileRun = (folder: string): boolean => existsSync(join(folder, PROFILE_FILES.profiles));

/** Throws DATA_INVALID when the folder holds no finished profile or a file in it is damaged. */
export async function readProfileRun(folder: string): Promise<ProfileRun> {
  const root = join(folder, PROFILE_FILES.profiles);
  const names = existsSync(root) ? (await readdir(root)).toSorted() : [];
  const named = (file: string): string[] => names.map((name) => join(root, name, file)).filter(existsSync);
  const records = await readAll(named(PROFILE_FILES.record), profileRecordSchema);
  const failures = await readAll(named(PROFILE_FILES.failure), profileFailureSchema);
  if (records.length + failures.length === 0) {
    throw new SeprogError(
      "DATA_INVALID",
      `expected a run folder with ${PROFILE_FILES.profiles}/*/${PROFILE_FILES.record} but received ${folder}; make one with seprog-native profile`,
    );
  }
  const environment = join(folder, PROFILE_FILES.environment);
  return {
    folder,
    name: basename(resolve(folder)).replace(/^profile-(?=.)/, ""),
    records: records.toSorted(byMethodThenK),
    failures,
    environment: existsSync(environment)
      ? await readJson(environment, z.record(z.string(), z.unknown()))
      : {},
  };
}

const readAll = <Schema extends z.ZodType>(
  paths: readonly string[],
  schema: Schema,
): Promise<z.output<Schema>[]> => Promise.all(paths.map((path) => readJson(path, schema)));

function byMethodThenK(a: ProfileRecord, b: ProfileRecord): number {
  const rank = (record: ProfileRecord): number => (record.variant === "seprog" ? 0 : 1);
  return rank(a) - rank(b) || a.method.localeCompare(b.method, "en") || a.K - b.K;
}
