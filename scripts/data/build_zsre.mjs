import { join } from "node:path";
import { assignOfficialSplits } from "../../dist/data/datasets/zsre.js";
import { readZsreFile, withGroups } from "../../dist/data/datasets/zsre_files.js";
import { groupKey } from "../../dist/data/text.js";
import { describeSources, toJsonLines, writeAsset } from "./write_assets.mjs";

const TRAIN = "zsre/zsre_mend_train-1k.json";
const EVAL = "zsre/zsre_mend_eval_portability_gpt4.json";
/** Of the 1,000-record train subset 5 % would be 49 records: too few to validate with 64 edits at once. */
const VALIDATION_SHARE = 0.15;
const KNOWEDIT = "zsre/ZsRE-test-all.json";

/** One record a question: the first file's stands, later ones add what it lacks. */
function mergeByQuestion(records) {
  const merged = new Map();
  let duplicates = 0;
  for (const keyed of records) {
    const question = groupKey(keyed.record.x_e);
    const first = merged.get(question);
    if (first === undefined) {
      merged.set(question, keyed);
      continue;
    }
    duplicates += 1;
    if (first.record.hard_out.length === 0)
      merged.set(question, { ...first, record: { ...first.record, hard_out: keyed.record.hard_out } });
  }
  return { merged: [...merged.values()], duplicates };
}

export async function buildZsre(sources, out) {
  const train = await readZsreFile(join(sources, TRAIN), "mend");
  const evaluation = await readZsreFile(join(sources, EVAL), "mend");
  const knowEdit = await readZsreFile(join(sources, KNOWEDIT), "knowedit");
  const { merged: test, duplicates } = mergeByQuestion([...evaluation.records, ...knowEdit.records]);
  const grouped = withGroups([...train.records, ...test]);
  const trainRecords = grouped.slice(0, train.records.length);
  const records = assignOfficialSplits(trainRecords, grouped.slice(train.records.length), VALIDATION_SHARE);
  writeAsset(out, "zsre/records.jsonl.gz", toJsonLines(records));
  const count = (split) => records.filter((record) => record.split === split).length;
  const manifest = {
    sources: describeSources(sources, [TRAIN, EVAL, KNOWEDIT]),
    records: records.length,
    splits: { test: count("test"), train: count("train"), validation: count("validation") },
    withHardOutOfScope: records.filter((record) => record.hard_out.length > 0).length,
    droppedRows: {
      [TRAIN]: Object.fromEntries(train.dropped),
      [EVAL]: Object.fromEntries(evaluation.dropped),
      [KNOWEDIT]: Object.fromEntries(knowEdit.dropped),
    },
    mergedQuestions: duplicates,
    trainRowsSharingASubjectWithTest: trainRecords.length - count("train") - count("validation"),
  };
  writeAsset(out, "zsre/manifest.json", `${JSON.stringify(manifest, null, 2)}\n`);
  return manifest;
}
