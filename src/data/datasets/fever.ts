import { readAssetRows } from "../assets.js";
import { type OfficialForm, officialForm } from "../official_files.js";
import { completeRecord, recordSchema } from "../schema.js";
import { toDataset } from "../splits.js";
import type { Dataset } from "../types.js";
import { type FeverFormat, readFeverFile, withClaimGroups } from "./fever_files.js";
import { assignOfficialSplits } from "./zsre.js";

/** Embedded subset of FEVER (Thorne et al. 2018) with the machine paraphrases that EREN's release holds. */
export async function loadFever(options: { readonly root?: string } = {}): Promise<Dataset> {
  const rows = await readAssetRows("fever/records.jsonl.gz", recordSchema, options.root);
  return toDataset(
    "fever",
    rows.map((row, i) => completeRecord(row, `fever-${i}`, row.group ?? row.x_e)),
  );
}

export interface FeverFiles {
  readonly train: string;
  /** The official dev file: De Cao et al. released no test file. */
  readonly test: string;
  readonly format: FeverFormat;
}

/**
 * FEVER from official files.
 * @throws SeprogError DATA_INVALID if a file cannot be read or a row does not have the format
 */
export async function loadFeverFiles({ train, test, format }: FeverFiles): Promise<Dataset> {
  const trainFile = await readFeverFile(train, format);
  const testFile = await readFeverFile(test, format);
  const records = withClaimGroups([...trainFile.records, ...testFile.records]);
  const trainCount = trainFile.records.length;
  return toDataset("fever", assignOfficialSplits(records.slice(0, trainCount), records.slice(trainCount)));
}

/** The forms in which FEVER's edits were published. */
export const FEVER_FORMS: readonly OfficialForm[] = [
  officialForm({
    title: "De Cao et al.'s annotated KILT",
    files: { train: ["fever-train-kilt.jsonl"], test: ["fever-dev-kilt.jsonl"] },
    load: (paths) => loadFeverFiles({ ...paths, format: "kilt" }),
  }),
  officialForm({
    title: "MALMEN's",
    files: { train: ["fever_train.json"], test: ["fever_eval.json"] },
    load: (paths) => loadFeverFiles({ ...paths, format: "malmen" }),
  }),
];
