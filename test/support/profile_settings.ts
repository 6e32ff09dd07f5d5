// Records of a profile as reports see them: five methods at one setting.

import type { OperationSamples, ProfileRecord } from "../../src/profile/record.js";
import type { ResultTable } from "../../src/report/content.js";
import { operationOf } from "../../src/report/profile/operations.js";
import { profileDocument } from "../../src/report/profile/profile_document.js";
import type { ProfileRun } from "../../src/report/profile/profile_run.js";
import { type Setting, settingsOf } from "../../src/report/profile/settings.js";
import { profileRecord, untrained } from "./profile_records.js";

const MiB = 2 ** 20;

/** SEPROG takes 100 ms and 200 MiB in training, 50 ms and 100 MiB at inference. */
export const RECORDS: readonly ProfileRecord[] = [
  profileRecord("seprog", 64),
  profileRecord("mend", 64, { trainMs: 320, trainBytes: 420 * MiB, inferMs: 150, inferBytes: 240 * MiB }),
  profileRecord("enn", 64, { trainMs: 900, trainBytes: 410 * MiB, inferMs: 800, inferBytes: 300 * MiB }),
  profileRecord("serac", 64, { trainMs: 80, trainBytes: 160 * MiB, inferMs: 40, inferBytes: 110 * MiB }),
  untrained("ft", 64, { inferMs: 9000, inferBytes: 400 * MiB }),
];

export const runOf = (records: readonly ProfileRecord[]): ProfileRun => ({
  folder: "runs/profile-mini",
  name: "mini",
  records,
  failures: [],
  environment: { cpu: { model: "Example CPU" } },
});

export function settingOf(records: readonly ProfileRecord[] = RECORDS): Setting {
  const [setting] = settingsOf(records);
  if (setting === undefined) throw new Error("no setting");
  return setting;
}

export const rowOf = (table: ResultTable | null, label: string): string[] =>
  table?.rows.find((row) => row.label === label)?.cells.map(({ value }) => value) ?? [];

export function trainStep(record: ProfileRecord): OperationSamples {
  const found = operationOf(record, "trainStep");
  if (found === null) throw new Error("no training step");
  return found;
}

/** The sentences under a report. */
export const notesOf = (
  records: readonly ProfileRecord[],
  change: Partial<ProfileRun> = {},
): readonly string[] =>
  profileDocument({ ...runOf(records), ...change })
    .sections.find(({ heading }) => heading === "Notes")
    ?.blocks.flatMap((block) => (block.kind === "list" ? block.items : [])) ?? [];
