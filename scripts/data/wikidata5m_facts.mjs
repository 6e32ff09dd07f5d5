import { readdirSync } from "node:fs";
import { join } from "node:path";
import { cleanText, groupKey } from "../../dist/data/text.js";
import { readCsv } from "./csv.mjs";
import { readJson } from "./sources.mjs";
import { RELATIONS } from "./wikidata5m_relations.mjs";

const HALLU = "wikidata/hallueditbench";
const KNOWEDIT = [
  "wikidata/knowedit/wiki_recent/recent_train.json",
  "wikidata/knowedit/wiki_recent/recent_test.json",
  "wikidata/knowedit/wiki_counterfact/train_cf.json",
  "wikidata/knowedit/wiki_counterfact/test_cf.json",
];
const MAX_SUBJECT = 40;
const MAX_OBJECT = 30;

/** Latin letters, digits, punctuation; Wikidata's ids stand where an item has no English label. */
const isLabel = (text, max) =>
  text.length >= 2 &&
  text.length <= max &&
  !/^[QP]\d+$/.test(text) &&
  /^[\p{Script=Latin}\p{M}\p{N}\p{P}\p{Zs}$+°]+$/u.test(text) &&
  !/[[\]{}|<>"“”_]/.test(text);

/** An answer that holds the subject's name, or is part of it, is read off the question. */
function givesItselfAway(subject, object) {
  const [a, b] = [groupKey(subject), groupKey(object)];
  return a.includes(b) || b.includes(a);
}

/** Everything known of the subjects, before a choice is made: label → {aliases, facts: relation → {objects, questions}}. */
class Facts {
  bySubject = new Map();
  #conflicts = new Set();

  #subject(label) {
    if (!this.bySubject.has(label)) this.bySubject.set(label, { aliases: new Set(), facts: new Map() });
    return this.bySubject.get(label);
  }

  /** @param objects alias lists, the label first. Another value from another source tells that the name has two bearers. */
  add(source, label, relation, objects) {
    const { facts } = this.#subject(label);
    const known = facts.get(relation);
    if (known === undefined) facts.set(relation, { source, objects, questions: new Set() });
    else if (known.source === source) known.objects.push(...objects);
    else {
      const keys = new Set(known.objects.flat().map(groupKey));
      if (objects.flat().some((name) => keys.has(groupKey(name)))) known.objects.push(...objects);
      else this.#conflicts.add(`${label}\u0000${relation}`);
    }
  }

  addAlias(label, alias) {
    this.#subject(label).aliases.add(alias);
  }

  addQuestion(label, relation, question) {
    this.bySubject.get(label)?.facts.get(relation)?.questions.add(question);
  }

  /** Takes away what the sources contradict each other on. @returns how many facts */
  dropConflicts() {
    for (const key of this.#conflicts) {
      const [label, relation] = key.split("\u0000");
      this.bySubject.get(label).facts.delete(relation);
    }
    return this.#conflicts.size;
  }
}

const csvFiles = (root, folder) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith(".csv"))
    .sort()
    .map((name) => `${folder}/${name}`);

const relationOfLabel = new Map(RELATIONS.map((relation) => [relation.label, relation.label]));

function addHalluEditBench(facts, sources) {
  const files = csvFiles(sources, `${HALLU}/triplet`);
  const topicsOf = new Map();
  const rows = files.flatMap((file) => readCsv(join(sources, file)).map((row) => ({ ...row, file })));
  for (const { subjectLabel, file } of rows)
    topicsOf.set(subjectLabel, (topicsOf.get(subjectLabel) ?? new Set()).add(file));
  for (const { subjectLabel, relation, objectLabel } of rows)
    if (topicsOf.get(subjectLabel).size === 1 && relationOfLabel.has(relation))
      facts.add("HalluEditBench", cleanText(subjectLabel), relation, [[cleanText(objectLabel)]]);
  const questionFiles = readdirSync(join(sources, HALLU, "questions"))
    .sort()
    .flatMap((model) => csvFiles(sources, `${HALLU}/questions/${model}`));
  for (const file of questionFiles)
    for (const { subject, relation, paraphrased_question } of readCsv(join(sources, file))) {
      const question = cleanText(paraphrased_question);
      if (question.includes(cleanText(subject))) facts.addQuestion(cleanText(subject), relation, question);
    }
  return [...files, ...questionFiles];
}

const clozes = RELATIONS.flatMap(({ label, cloze }) => (cloze ? [{ label, parts: cloze.split("[X]") }] : []));

/** Relation and subject that a KnowEdit prompt asks for; the subject may be an alias. */
function readPrompt(prompt) {
  for (const { label, parts } of clozes) {
    const [before, after] = parts;
    if (prompt.startsWith(before) && prompt.endsWith(after) && prompt.length > before.length + after.length)
      return { relation: label, subject: prompt.slice(before.length, prompt.length - after.length) };
  }
  return undefined;
}

/** Answers come as one text, as a list of texts, or as a list of alias lists. */
const toAliasLists = (answers) =>
  [answers]
    .flat()
    .map((answer) =>
      [answer]
        .flat()
        .map(cleanText)
        .filter((text) => text !== ""),
    )
    .filter((names) => names.length > 0);

function addKnowEdit(facts, sources) {
  for (const file of KNOWEDIT)
    for (const row of readJson(join(sources, file))) {
      const subject = cleanText(row.subject);
      // Recent facts are true; counterfactual ones name the truth apart.
      const own = { prompt: row.prompt, ground_truth: row.ground_truth ?? row.target_new };
      for (const { prompt, ground_truth } of [own, ...(row.locality?.Relation_Specificity ?? [])]) {
        const asked = readPrompt(cleanText(prompt));
        if (asked?.subject === subject)
          facts.add("KnowEdit", subject, asked.relation, toAliasLists(ground_truth));
      }
      for (const { prompt } of row.portability?.Subject_Aliasing ?? []) {
        const alias = readPrompt(cleanText(prompt))?.subject;
        if (alias !== undefined) facts.addAlias(subject, alias);
      }
    }
  return KNOWEDIT;
}

/** The first of each name, but for case and punctuation. */
function uniqueByKey(names) {
  const keys = new Set();
  return names.filter((name) => {
    const key = groupKey(name);
    return !keys.has(key) && keys.add(key);
  });
}

/** The fact as it is shipped, or undefined if it makes no good question. */
function tidyFact(subject, { objects, questions }) {
  const fitting = objects.find(([label]) => isLabel(label, MAX_OBJECT));
  if (fitting === undefined) return undefined;
  const answers = uniqueByKey([fitting[0], ...objects.flat()].filter((name) => isLabel(name, MAX_SUBJECT)));
  if (answers.some((answer) => givesItselfAway(subject, answer))) return undefined;
  return { answers, questions: [...questions] };
}

/**
 * Facts of the chosen relations about every subject, from HalluEditBench and KnowEdit.
 * @returns {{subjects: {label: string, aliases: string[], facts: Map<string, {answers: string[], questions: string[]}>}[], files: string[], conflicts: number}}
 */
export function loadWikidataFacts(sources) {
  const facts = new Facts();
  const files = [...addHalluEditBench(facts, sources), ...addKnowEdit(facts, sources)];
  const conflicts = facts.dropConflicts();
  const subjects = [];
  for (const [label, known] of [...facts.bySubject].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (!isLabel(label, MAX_SUBJECT) || /^\d/.test(label)) continue;
    const tidy = new Map();
    for (const [relation, fact] of known.facts) {
      const kept = tidyFact(label, fact);
      if (kept !== undefined) tidy.set(relation, kept);
    }
    const aliases = uniqueByKey([label, ...known.aliases].filter((name) => isLabel(name, MAX_SUBJECT))).slice(
      1,
    );
    subjects.push({ label, aliases, facts: tidy });
  }
  return { subjects, files, conflicts };
}
