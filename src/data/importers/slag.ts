import { z } from "zod";
import { claimRecord, feverLabel, otherLabel, pageKey } from "../datasets/fever_formats.js";
import { leapOfThoughtSchema, leapRecord, toLeap } from "../datasets/leapofthought_formats.js";
import { type RelationFact, toPair } from "../datasets/wikidata5m_pairs.js";
import { drawParaphrases, ObjectPool, type SlagFact, slagSchema } from "../datasets/wikidata5m_slag.js";
import { Problems } from "../problems.js";
import { Rng } from "../random.js";
import { SPLIT_SEED } from "../splits.js";
import { cleanText, groupKey, sameAnswer } from "../text.js";
import { COPY } from "../types.js";
import { UniqueIds } from "../unique_ids.js";
import { type ImportedRow, type Layout, parseRows, rowLayout } from "./layout.js";
import { isClaim } from "./mend.js";

const NO_LABEL = "no other answer to edit to in the file";

/** Facts as they stand; lines 2i and 2i + 1 are about one subject. */
const wikidata5m: Layout = {
  format: "slag",
  title: "SLAG's filtered Wikidata5m",
  container: "lines",
  keys: ["entity1", "relation", "entity2"],
  async open(path) {
    const problems = new Problems();
    const ids = new UniqueIds(path, problems);
    const pool = new ObjectPool("relation");
    for await (const { number, value } of parseRows("lines", path, slagSchema, problems)) {
      ids.add(`${value.entity1[0]}, ${value.relation[0]}`, number);
      pool.add(value);
    }
    // A line left out would shift the pairs: what is wrong with the lines is told first.
    problems.throwIfAny(path);
    return async function* (rowProblems) {
      const rng = Rng.fromSeed(SPLIT_SEED);
      let first: { readonly number: number; readonly value: SlagFact } | undefined;
      for await (const second of parseRows("lines", path, slagSchema, rowProblems)) {
        if (first === undefined) {
          first = second;
          continue;
        }
        if (first.value.entity1[0] === second.value.entity1[0])
          yield* factRows(first.value, second.value, pool, rng);
        else
          rowProblems.add(
            `${path}:${first.number}`,
            `\`entity1\`: expected this line and the next to have one subject but received "${first.value.entity1[0]}" and "${second.value.entity1[0]}"`,
          );
        first = undefined;
      }
      if (first !== undefined)
        rowProblems.add(
          `${path}:${first.number}`,
          `expected another line about "${first.value.entity1[0]}" but received the end of the file`,
        );
    };
  },
};

function factRows(first: SlagFact, second: SlagFact, pool: ObjectPool, rng: Rng): ImportedRow[] {
  const toFact = (fact: SlagFact): RelationFact => ({
    id: "",
    subjects: fact.entity1,
    relations: fact.relation,
    answers: fact.entity2,
    labels: pool.draw(fact, rng),
    paraphrases: drawParaphrases(fact, rng),
    split: "test",
  });
  return toPair(toFact(first), toFact(second)).map(({ id: _, group, split: __, ...record }) => ({
    outcome: record.y_e_options.length === 0 ? NO_LABEL : { record, keys: [group] },
    omitted: [],
  }));
}

const leapOfThought: Layout = {
  format: "slag",
  title: "LeapOfThought as SLAG reads it (taxonomic_reasonings_training_mix_*.jsonl)",
  container: "lines",
  keys: ["phrase", "answer", "context", "metadata"],
  open: async (path) =>
    async function* (problems) {
      const seen = new Set<string>();
      for await (const { number, value } of parseRows("lines", path, leapOfThoughtSchema, problems)) {
        const leap = toLeap(value);
        if (leap === undefined) yield { outcome: "no rule that is left unstated", omitted: [] };
        else if ("problem" in leap) problems.add(`${path}:${number}`, leap.problem);
        else if (seen.has(leap.id)) yield { outcome: "the hypothesis in another context", omitted: [] };
        else {
          seen.add(leap.id);
          const hard = leap.distractors.filter(
            ({ group }) => group === undefined || !leap.subjects.includes(group),
          );
          const { id: _, group: __, ...record } = leapRecord(leap, "", hard);
          yield { outcome: { record, keys: leap.subjects }, omitted: [] };
        }
      }
    },
};

const text = z.string().refine((value) => value.trim() !== "", "expected a text but received only blanks");

const fever = rowLayout({
  format: "slag",
  title: "SLAG's FEVER (fever_reshuffled-{train,dev,test}-kilt.jsonl)",
  container: "lines",
  keys: ["id", "input", "output"],
  isRow: isClaim,
  schema: z.looseObject({
    input: text,
    output: z.tuple(
      [
        z.looseObject({
          answer: feverLabel,
          provenance: z.array(z.looseObject({ title: z.string().optional() })).optional(),
        }),
      ],
      z.looseObject({}),
    ),
  }),
  toRow: ({ input, output: [{ answer, provenance = [] }] }) => {
    const record = claimRecord({
      claim: input,
      options: [otherLabel(answer), answer],
      gold: answer,
      paraphrases: [],
    });
    const page = provenance.find(({ title }) => title !== undefined)?.title;
    const keys = [groupKey(record.x_e), ...(page === undefined ? [] : [pageKey(page)])];
    return { outcome: { record, keys }, omitted: [] };
  },
});

const zsreSchema = z.looseObject({
  input: text,
  output: z.array(z.looseObject({ answer: z.string().optional() })),
  meta: z.looseObject({ template_questions: z.array(z.string()).min(1) }),
});
type ZsreRow = z.output<typeof zsreSchema>;

const SEPARATOR = "[SEP]";
/** KILT writes `subject [SEP] relation`. */
const subjectOf = ({ input }: ZsreRow): string => cleanText(input.split(SEPARATOR)[0] ?? "");
const relationOf = ({ input }: ZsreRow): string => cleanText(input.split(SEPARATOR)[1] ?? "");
const goldOf = ({ output }: ZsreRow): string[] => [
  ...new Set(
    output.flatMap(({ answer }) => (answer === undefined || answer.trim() === "" ? [] : [cleanText(answer)])),
  ),
];

/** Answers of beams that SLAG's experiments wrote into the file, of the first experiment there. */
function writtenLabels(row: ZsreRow): string[] {
  const found = Object.entries(row).find(([key]) => key.endsWith("_alt_preds"))?.[1];
  const parsed = z.array(z.string()).safeParse(found);
  return parsed.success ? parsed.data.map(cleanText).filter((label) => label !== "") : [];
}

const asFact = (row: ZsreRow): SlagFact => ({
  entity1: [subjectOf(row)],
  relation: [relationOf(row)],
  entity2: goldOf(row),
});

const zsre: Layout = {
  format: "slag",
  title: "SLAG's zsRE (zeroshot_reshuffled-{train,dev,test}-kilt.jsonl)",
  container: "lines",
  keys: ["input", "output", "meta.template_questions"],
  async open(path) {
    const problems = new Problems();
    const pool = new ObjectPool("relation");
    for await (const { value } of parseRows("lines", path, zsreSchema, problems))
      if (goldOf(value).length > 0) pool.add(asFact(value));
    problems.throwIfAny(path);
    return async function* (rowProblems) {
      const rng = Rng.fromSeed(SPLIT_SEED);
      for await (const { value } of parseRows("lines", path, zsreSchema, rowProblems))
        yield { outcome: zsreRecord(value, pool, rng), omitted: [] };
    };
  },
};

/** Of wordings that differ in case and punctuation alone the first stands. */
function distinct(wordings: readonly string[]): string[] {
  const seen = new Set<string>();
  return wordings.map(cleanText).filter((wording) => {
    const key = groupKey(wording);
    if (wording === "" || seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

function zsreRecord(row: ZsreRow, pool: ObjectPool, rng: Rng): ImportedRow["outcome"] {
  const [question = "", ...rephrases] = distinct(row.meta.template_questions);
  const y_loc = goldOf(row);
  if (question === "") return "no question";
  if (y_loc.length === 0) return "no true answer";
  const written = writtenLabels(row).filter((label) => !y_loc.some((gold) => sameAnswer(gold, label)));
  const labels = written.length > 0 ? [...new Set(written)] : pool.draw(asFact(row), rng);
  if (labels.length === 0) return NO_LABEL;
  return {
    record: {
      x_e: question,
      y_e_options: labels,
      in_scope: rephrases.map((x) => ({ x, y: COPY })),
      in_scope_noisy: [],
      entailed: [],
      hard_out: [],
      x_loc: question,
      y_loc,
      ...(relationOf(row) !== "" && { relation: relationOf(row) }),
    },
    keys: [groupKey(question), groupKey(subjectOf(row))],
  };
}

export const SLAG_LAYOUTS: readonly Layout[] = [wikidata5m, leapOfThought, zsre, fever];
