import { z } from "zod";
import { SeprogError } from "../../errors.js";
import { readAsset, readAssetRows } from "../assets.js";
import { type OfficialForm, officialForm } from "../official_files.js";
import { toDataset } from "../splits.js";
import { type Dataset, SPLITS } from "../types.js";
import { type RelationFact, relationInput, toPair } from "./wikidata5m_pairs.js";
import { filterWikidata5m } from "./wikidata5m_raw.js";
import { readSlagFile, slagRecords } from "./wikidata5m_slag.js";

/** Lines 2i and 2i + 1 are the two facts of one subject. */
const factSchema = z.strictObject({
  id: z.string(),
  subject: z.string(),
  aliases: z.array(z.string()),
  relation: z.string(),
  answers: z.array(z.string()).min(1),
  questions: z.array(z.string()),
  split: z.enum(SPLITS),
  labels: z.array(z.string()).min(1),
});

/** Relation → wordings that ask for it of the subject `[X]`. */
const templatesSchema = z.record(z.string(), z.array(z.string()).min(1));

function toFact(row: z.infer<typeof factSchema>, templates: readonly string[]): RelationFact {
  const { id, subject, aliases, relation, answers, labels, split } = row;
  const fill = (name: string) => templates.map((template) => template.replace("[X]", () => name));
  const paraphrases = new Set([
    ...fill(subject),
    ...row.questions,
    ...aliases.flatMap((alias) => [relationInput(alias, relation), ...fill(alias).slice(0, 1)]),
  ]);
  return {
    id,
    subjects: [subject],
    relations: [relation],
    answers,
    labels,
    paraphrases: [...paraphrases],
    split,
  };
}

/**
 * Embedded facts of Wikidata in the form of SLAG's Wikidata5m: two relations a subject, each hard out-of-scope for the
 * other. Facts from HalluEditBench (Huang et al. 2024) and KnowEdit (Zhang et al. 2024), questions from KGConv.
 * @throws SeprogError DATA_INVALID if the embedded files are damaged
 */
export async function loadWikidata5m({ root }: { readonly root?: string } = {}): Promise<Dataset> {
  const templates = templatesSchema.parse(JSON.parse(await readAsset("wikidata5m/templates.json", root)));
  const rows = await readAssetRows("wikidata5m/facts.jsonl.gz", factSchema, root);
  const facts = rows.map((row) => toFact(row, templates[row.relation] ?? []));
  const records = facts.flatMap((first, i) => {
    if (i % 2 === 1) return [];
    const second = facts[i + 1];
    if (second === undefined)
      throw new SeprogError("DATA_INVALID", `expected two facts of ${first.subjects[0]} but received one`);
    return toPair(first, second);
  });
  return toDataset("wikidata5m", records);
}

const SLAG_FILE = "filtered_wikidata5m_transductive";
const RAW_FILE = "wikidata5m_transductive";

/** The forms in which Wikidata5m was published: what SLAG made of it first, for it is much smaller. */
export const WIKIDATA5M_FORMS: readonly OfficialForm[] = [
  officialForm({
    title: "SLAG's filtered splits",
    files: {
      train: [`${SLAG_FILE}_train.jsonl`],
      validation: [`${SLAG_FILE}_dev.jsonl`],
      test: [`${SLAG_FILE}_test.jsonl`],
    },
    load: async (paths) => {
      const splits = {
        train: await readSlagFile(paths.train),
        validation: await readSlagFile(paths.validation),
        test: await readSlagFile(paths.test),
      };
      return toDataset("wikidata5m", slagRecords(splits));
    },
  }),
  officialForm({
    title: "Wikidata5m itself, filtered on reading as SLAG does",
    files: {
      train: [`${RAW_FILE}_train.txt`],
      validation: [`${RAW_FILE}_valid.txt`],
      test: [`${RAW_FILE}_test.txt`],
      entities: ["wikidata5m_entity.txt"],
      relations: ["wikidata5m_relation.txt"],
    },
    load: async (paths) => toDataset("wikidata5m", slagRecords(await filterWikidata5m(paths))),
  }),
];
