import { readAssetRows } from "../assets.js";
import { type OfficialForm, officialForm } from "../official_files.js";
import { completeRecord, recordSchema } from "../schema.js";
import { splitByGroup, toDataset } from "../splits.js";
import type { Dataset, EditRecord } from "../types.js";
import { readZsreFile, withGroups, type ZsreFormat, type ZsreReadOptions } from "./zsre_files.js";

/** Share of the official train file kept for early stopping (docs/data.md). */
const OFFICIAL_VALIDATION_SHARE = 0.05;

/** Embedded subset of zsRE (Levy et al. 2017) in the edit form of De Cao et al. and MEND, and KnowEdit's test split. */
export async function loadZsre(options: { readonly root?: string } = {}): Promise<Dataset> {
  const rows = await readAssetRows("zsre/records.jsonl.gz", recordSchema, options.root);
  return toDataset(
    "zsre",
    rows.map((row, i) => completeRecord(row, `zsre-${i}`, row.group ?? row.x_e)),
  );
}

export interface ZsreFiles extends ZsreReadOptions {
  readonly train: string;
  /** The official dev file: De Cao et al. released no test file. */
  readonly test: string;
  readonly format: ZsreFormat;
}

/**
 * Names the split of every record; train records that share a group with a test record are left out.
 * @param validation share of the train records kept for early stopping
 */
export function assignOfficialSplits(
  train: readonly EditRecord[],
  test: readonly EditRecord[],
  validation: number = OFFICIAL_VALIDATION_SHARE,
): EditRecord[] {
  const testGroups = new Set(test.map(({ group }) => group));
  const apart = train.filter(({ group }) => !testGroups.has(group));
  const carved = splitByGroup(
    apart.map(({ group }) => group),
    { test: 0, validation },
  );
  return [
    ...apart.map((record) => ({ ...record, split: carved.get(record.group) ?? "train" }) as const),
    ...test.map((record) => ({ ...record, split: "test" }) as const),
  ];
}

/**
 * zsRE from official files.
 * @throws SeprogError DATA_INVALID if a file cannot be read or a row does not have the format
 */
export async function loadZsreFiles(files: ZsreFiles): Promise<Dataset> {
  const train = await readZsreFile(files.train, files.format, files);
  const test = await readZsreFile(files.test, files.format, files);
  const records = withGroups([...train.records, ...test.records]);
  const isTest = (i: number) => i >= train.records.length;
  return toDataset(
    "zsre",
    assignOfficialSplits(
      records.filter((_, i) => !isTest(i)),
      records.filter((_, i) => isTest(i)),
    ),
  );
}

/** The forms in which zsRE's edits were published. */
export const ZSRE_FORMS: readonly OfficialForm[] = [
  officialForm({
    title: "De Cao et al.'s annotated KILT",
    files: {
      train: ["structured_zeroshot-train-new_annotated_final.jsonl"],
      test: ["structured_zeroshot-dev-new_annotated_final.jsonl"],
    },
    load: (paths) => loadZsreFiles({ ...paths, format: "kilt" }),
  }),
  officialForm({
    title: "MEND's, as released with ROME and EasyEdit",
    files: {
      train: ["zsre_mend_train.json", "zsre_mend_train_10000.json"],
      test: ["zsre_mend_eval.json"],
    },
    load: (paths) => loadZsreFiles({ ...paths, format: "mend" }),
  }),
];
