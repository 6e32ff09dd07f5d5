import { join } from "node:path";
import { claimRecord, FEVER_LABELS, otherLabel, pageKey } from "../../dist/data/datasets/fever_formats.js";
import { mergeGroups } from "../../dist/data/groups.js";
import { Rng } from "../../dist/data/random.js";
import { SPLIT_SEED, splitByGroup } from "../../dist/data/splits.js";
import { cleanText, groupKey } from "../../dist/data/text.js";
import { sameSubjectClaims } from "./fever_neighbours.mjs";
import { paraphraseFault } from "./fever_paraphrases.mjs";
import { readJson, readJsonLines } from "./sources.mjs";
import { describeSources, toJsonLines, writeAsset } from "./write_assets.mjs";

const EDITS = "fever/fever_filtered.json";
const CLAIMS = "fever/fever_labelled_dev.json";
const PAPER_DEV = "fever/paper_dev.jsonl";

/** A quarter of the groups would be fewer than the 128 that the largest episode needs, and something out of scope. */
const SHARES = { test: 0.36, validation: 0.1 };
/** Claims without paraphrases that join the train split: as many as it has with; more would be most of its edits. */
const PLAIN_CLAIMS = 1000;

const isLabelled = ({ label }) => label in FEVER_LABELS;
const bump = (counts, key) => {
  counts[key] = (counts[key] ?? 0) + 1;
};

/**
 * EREN asks of every record that one statement be true: the claim itself, or a rewriting that contradicts it. Its
 * paraphrases are of the claim in both cases, answered "yes" or "no" accordingly; where the answer is the other one,
 * EREN holds the paraphrase not to mean the claim.
 */
function paraphrasesOf(edit, claim, dropped) {
  const expected = groupKey(edit.edit_statement) === groupKey(claim) ? "yes" : "no";
  return edit.edit_scope.slice(1).flatMap(([text, answer]) => {
    const fault =
      answer === expected
        ? paraphraseFault(claim, cleanText(text))
        : "answered unlike the claim by the source";
    if (fault === undefined) return [text];
    bump(dropped, fault);
    return [];
  });
}

/** Texts that several claims with different labels give as paraphrase, or that are another claim: of no one. */
function withoutShared(records, labelOfClaim, dropped) {
  const labels = new Map();
  for (const { y_loc, in_scope } of records)
    for (const { x } of in_scope)
      labels.set(groupKey(x), (labels.get(groupKey(x)) ?? new Set()).add(y_loc[0]));
  return records.map((record) => ({
    ...record,
    in_scope: record.in_scope.filter(({ x }) => {
      const key = groupKey(x);
      const fault = labelOfClaim.has(key)
        ? "is a claim of its own"
        : labels.get(key).size > 1
          ? "paraphrases a true and a false claim"
          : undefined;
      if (fault !== undefined) bump(dropped, fault);
      return fault === undefined;
    }),
  }));
}

const editRecord = (row, paraphrases) => {
  const gold = FEVER_LABELS[row.label];
  return {
    id: `fever-${row.id}`,
    ...claimRecord({ claim: row.claim, options: [otherLabel(gold)], gold, paraphrases }),
  };
};

/** Claims are joined by their text, their evidence pages and their paraphrases. */
const groupsOf = (records, pagesOf) =>
  mergeGroups(
    records.map(({ id, x_e, in_scope }) => [
      groupKey(x_e),
      ...pagesOf(id).map(pageKey),
      ...in_scope.map(({ x }) => groupKey(x)),
    ]),
  );

/** One record a claim text. */
function uniqueTexts(records) {
  const seen = new Set();
  return records.filter(({ x_e }) => !seen.has(groupKey(x_e)) && seen.add(groupKey(x_e)));
}

export function buildFever(sources, out) {
  const rows = readJson(join(sources, CLAIMS));
  const rowOf = new Map(rows.map((row) => [String(row.id), row]));
  const labelOfClaim = new Map(rows.map(({ claim, label }) => [groupKey(claim), label]));
  const pagesOf = (id) => rowOf.get(id.slice("fever-".length)).evidence_pages;
  const dropped = {};

  const edits = readJson(join(sources, EDITS));
  const raw = edits.map((edit) => {
    const row = rowOf.get(edit._id);
    return editRecord(row, paraphrasesOf(edit, row.claim, dropped));
  });
  const edited = uniqueTexts(withoutShared(raw, labelOfClaim, dropped)).filter(
    ({ in_scope }) => in_scope.length > 0,
  );
  const groups = groupsOf(edited, pagesOf);
  const splitOf = splitByGroup(groups, SHARES);
  const grouped = edited.map((record, i) => ({
    ...record,
    group: groups[i],
    split: splitOf.get(groups[i]),
  }));

  const plain = plainClaims({ rows, sources, edited: grouped, pagesOf });
  const records = sameSubjectClaims([...joinTrainGroups(grouped, plain, pagesOf)], {
    rows: rows.filter(isLabelled),
    pagesOf,
  });
  writeAsset(out, "fever/records.jsonl.gz", toJsonLines(records));

  const count = (test) => records.filter(test).length;
  const perSplit = (test) =>
    Object.fromEntries(
      ["train", "validation", "test"].map((split) => [split, count((r) => r.split === split && test(r))]),
    );
  const manifest = {
    sources: describeSources(sources, [EDITS, CLAIMS, PAPER_DEV]),
    records: records.length,
    splits: perSplit(() => true),
    withParaphrases: perSplit(({ in_scope }) => in_scope.length > 0),
    labelledTrue: perSplit(({ y_loc }) => y_loc[0] === "True"),
    withHardOutOfScope: perSplit(({ hard_out }) => hard_out.length > 0),
    editClaims: edits.length,
    editClaimsLeftOut: edits.length - edited.length,
    paraphrases: records.reduce((sum, { in_scope }) => sum + in_scope.length, 0),
    droppedParaphrases: Object.fromEntries(Object.entries(dropped).sort(([a], [b]) => (a < b ? -1 : 1))),
  };
  writeAsset(out, "fever/manifest.json", `${JSON.stringify(manifest, null, 2)}\n`);
  return manifest;
}

/**
 * Claims of the paper_test half, which no edit comes from, whose text and evidence pages touch neither validation nor
 * test: more train records, without paraphrases.
 */
function plainClaims({ rows, sources, edited, pagesOf }) {
  const paperDev = new Set(readJsonLines(join(sources, PAPER_DEV)).map(({ id }) => id));
  const heldOut = edited.filter(({ split }) => split !== "train");
  const heldOutPages = new Set(heldOut.flatMap(({ id }) => pagesOf(id)));
  const taken = new Set(
    edited.flatMap(({ x_e, in_scope }) => [x_e, ...in_scope.map(({ x }) => x)].map(groupKey)),
  );
  const labelsOf = new Map();
  for (const { claim, label } of rows)
    labelsOf.set(groupKey(claim), (labelsOf.get(groupKey(claim)) ?? new Set()).add(label));
  const candidates = rows.filter(
    (row) =>
      isLabelled(row) &&
      !paperDev.has(row.id) &&
      !row.evidence_pages.some((page) => heldOutPages.has(page)) &&
      !taken.has(groupKey(row.claim)) &&
      labelsOf.get(groupKey(row.claim)).size === 1,
  );
  const unique = uniqueTexts(candidates.map((row) => editRecord(row, [])));
  const ofLabel = (label) => unique.filter(({ y_loc }) => y_loc[0] === label);
  const rng = Rng.fromSeed(SPLIT_SEED);
  return ["True", "False"]
    .flatMap((label) => rng.shuffle(ofLabel(label)).slice(0, PLAIN_CLAIMS / 2))
    .map((record) => ({ ...record, split: "train" }));
}

/** Train records join by shared pages whether or not they have paraphrases; the other splits keep their groups. */
function* joinTrainGroups(edited, plain, pagesOf) {
  const train = [...edited.filter(({ split }) => split === "train"), ...plain];
  const groups = groupsOf(train, pagesOf);
  yield* train.map((record, i) => ({ ...record, group: groups[i] }));
  yield* edited.filter(({ split }) => split !== "train");
}
