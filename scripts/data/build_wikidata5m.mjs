import { join } from "node:path";
import { Rng } from "../../dist/data/random.js";
import { splitByGroup } from "../../dist/data/splits.js";
import { cleanText, groupKey } from "../../dist/data/text.js";
import { readJson } from "./sources.mjs";
import { loadWikidataFacts } from "./wikidata5m_facts.mjs";
import { RELATIONS } from "./wikidata5m_relations.mjs";
import { selectPairs } from "./wikidata5m_selection.mjs";
import { describeFiles, describeSources, toJsonLines, writeAsset } from "./write_assets.mjs";

const TEMPLATES = "wikidata/kgconv/template_library.json";
const SHARES = { test: 0.15, validation: 0.05 };
const LABELS = 4;
const ALIASES = 2;

/** KGConv writes questions as crowd workers typed them. */
const normalQuestion = ({ left, right }) => {
  const text = cleanText(`${left}[X]${right}`).replace("[X] 's", "[X]'s").replace(/ \?$/, "?");
  return text[0].toUpperCase() + text.slice(1);
};

/** The chosen wordings of each relation. Throws if one of them is not KGConv's. */
function relationTemplates(sources) {
  const known = new Map();
  for (const { template_key, templates } of readJson(join(sources, TEMPLATES)))
    known.set(template_key.p, [...(known.get(template_key.p) ?? []), ...templates.map(normalQuestion)]);
  return new Map(
    RELATIONS.map(({ label, property, cloze, questions }) => {
      const foreign = questions.filter((question) => !known.get(property)?.includes(question));
      if (foreign.length > 0) throw new Error(`KGConv has no ${foreign.join(", ")} for ${property}`);
      return [label, cloze === undefined ? questions : [...questions, cloze]];
    }),
  );
}

const words = (name) => name.split(" ").length;

/** Aliases that no other subject bears, neither as name nor as alias; a first name alone tells no one apart. */
function ownAliases(pairs) {
  const bearers = new Map();
  for (const { subject } of pairs)
    for (const key of new Set([subject.label, ...subject.aliases].map(groupKey)))
      bearers.set(key, (bearers.get(key) ?? 0) + 1);
  return ({ label, aliases }) =>
    aliases
      .filter((alias) => bearers.get(groupKey(alias)) === 1 && (words(alias) > 1 || words(label) === 1))
      .slice(0, ALIASES);
}

/** Up to four answers of the relation in the split, none of them true. */
function drawLabels(pool, answers, rng) {
  const taken = new Set(answers.map(groupKey));
  const labels = [];
  for (const label of rng.shuffle([...pool])) {
    if (labels.length === LABELS) break;
    if (taken.has(groupKey(label))) continue;
    taken.add(groupKey(label));
    labels.push(label);
  }
  return labels;
}

function toRows(pairs) {
  const groups = pairs.flatMap(({ subject }) => [groupKey(subject.label), groupKey(subject.label)]);
  const splitOf = splitByGroup(groups, SHARES);
  const aliasesOf = ownAliases(pairs);
  const rows = pairs.flatMap(({ subject, facts }) =>
    facts.map(({ relation, fact }) => ({
      subject: subject.label,
      aliases: aliasesOf(subject),
      relation,
      answers: fact.answers,
      questions: fact.questions,
      split: splitOf.get(groupKey(subject.label)),
    })),
  );
  const pools = new Map();
  for (const { split, relation, answers } of rows) {
    const key = `${split} ${relation}`;
    pools.set(key, [...(pools.get(key) ?? []), answers[0]]);
  }
  const rng = Rng.fromSeed(0);
  return rows.map((row) => ({
    ...row,
    labels: drawLabels(pools.get(`${row.split} ${row.relation}`), row.answers, rng),
  }));
}

/** Both facts of a subject stay or go: lines 2i and 2i + 1 are one subject. */
function dropPairs(rows, isBad) {
  const kept = [];
  for (let i = 0; i < rows.length; i += 2)
    if (!isBad(rows[i]) && !isBad(rows[i + 1])) kept.push(rows[i], rows[i + 1]);
  return kept;
}

const tally = (rows, keyOf) => {
  const counts = {};
  for (const row of rows) counts[keyOf(row)] = (counts[keyOf(row)] ?? 0) + 1;
  return Object.fromEntries(Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1)));
};

export function buildWikidata5m(sources, out) {
  const templates = relationTemplates(sources);
  const { subjects, files, conflicts } = loadWikidataFacts(sources);
  const drawn = toRows(selectPairs(subjects));
  const rows = dropPairs(drawn, ({ labels }) => labels.length === 0).map((row, i) => ({
    id: `wd-${i}`,
    ...row,
  }));
  const used = new Set(rows.map(({ relation }) => relation));
  const shipped = Object.fromEntries([...templates].filter(([relation]) => used.has(relation)));
  writeAsset(out, "wikidata5m/facts.jsonl.gz", toJsonLines(rows));
  writeAsset(out, "wikidata5m/templates.json", `${JSON.stringify(shipped, null, 2)}\n`);
  const manifest = {
    sources: [
      describeFiles(sources, "wikidata/hallueditbench/triplet/*.csv", files),
      describeFiles(sources, "wikidata/hallueditbench/questions/*/*.csv", files),
      ...describeSources(
        sources,
        files.filter((file) => file.startsWith("wikidata/knowedit/")),
      ),
      ...describeSources(sources, [TEMPLATES]),
    ],
    records: rows.length,
    subjects: rows.length / 2,
    splits: tally(rows, ({ split }) => split),
    relations: tally(rows, ({ relation }) => relation),
    relationsOfThePaper: RELATIONS.filter(({ label, ofPaper }) => ofPaper && used.has(label)).map(
      ({ label }) => label,
    ),
    distinctAnswers: new Set(rows.map(({ answers }) => answers[0])).size,
    withSubjectAlias: rows.filter(({ aliases }) => aliases.length > 0).length,
    withOwnQuestion: rows.filter(({ questions }) => questions.length > 0).length,
    dropped: {
      "facts on which the sources contradict each other": conflicts,
      "records, with the other one of their subject, for which the split has no other answer":
        drawn.length - rows.length,
    },
  };
  writeAsset(out, "wikidata5m/manifest.json", `${JSON.stringify(manifest, null, 2)}\n`);
  return manifest;
}
