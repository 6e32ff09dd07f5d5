import { join } from "node:path";
import { cleanText, groupKey } from "../../dist/data/text.js";
import { assignRelations, promptTemplate } from "./counterfact_relations.mjs";
import { buildTemplates, fillTemplate } from "./pararel_templates.mjs";
import { readJson, readRelationFolder } from "./sources.mjs";

/** Relations with fewer rephrases than this cannot give an in-scope text that differs from the edit. */
const MIN_TEMPLATES = 2;

/** CounterFact's own prompts of one template share their fixed text: the longest that fits gives the subject away. */
function subjectExtractor(records) {
  const frames = [...new Set(records.map(promptTemplate))]
    .map((template) => template.split("[X]"))
    .sort((a, b) => b.join("").length - a.join("").length);
  return (prompt) => {
    const frame = frames.find(
      ([before, after]) =>
        prompt.startsWith(before) && prompt.endsWith(after) && prompt.length > before.length + after.length,
    );
    return frame && prompt.slice(frame[0].length, prompt.length - frame[1].length);
  };
}

function toFact(record, relation, subjectOf) {
  return {
    id: `cf-${record.case_id}`,
    relation,
    subject: cleanText(record.subject),
    object: cleanText(record.ground_truth),
    target_new: cleanText(record.target_new),
    prompt: cleanText(record.prompt),
    rephrase_noisy: cleanText(record.rephrase_prompt),
    locality: {
      subject: cleanText(subjectOf(record.locality_prompt) ?? ""),
      prompt: cleanText(record.locality_prompt),
      answer: cleanText(record.locality_ground_truth),
    },
  };
}

/** Every text that asks for the fact: the case's own prompt and the filled templates of its relation. */
export function factTexts(fact, templates) {
  return [...new Set([fact.prompt, ...templates.map((template) => fillTemplate(template, fact.subject))])];
}

/**
 * CounterFact cases with their relation, in the order of their case ids, without contradictions: no text asks for two
 * answers, and no two records state the same relation of the same subject.
 * @param {string} sources folder with `counterfact/` and `lama_trex/pararel/`
 */
export function loadCounterfactFacts(sources) {
  const cases = ["edit", "train", "val"]
    .flatMap((part) => readJson(join(sources, "counterfact", `counterfact-${part}.json`)))
    .sort((a, b) => a.case_id - b.case_id);
  const pararel = join(sources, "lama_trex", "pararel");
  const { templates, rejected } = buildTemplates(readRelationFolder(join(pararel, "graphs_json")));
  const { relationOf, dropped } = assignRelations(cases, readRelationFolder(join(pararel, "trex_lms_vocab")));
  const droppedCounts = new Map();
  const drop = (reason) => droppedCounts.set(reason, (droppedCounts.get(reason) ?? 0) + 1);
  const removedLocalityCounts = new Map();
  const removeLocality = (fact, reason) => {
    delete fact.locality;
    removedLocalityCounts.set(reason, (removedLocalityCounts.get(reason) ?? 0) + 1);
  };
  for (const reason of dropped.values()) drop(reason);

  const subjectOf = subjectExtractor(cases);
  const answerOfText = new Map();
  const seen = new Set();
  const facts = [];
  for (const record of cases) {
    const relation = relationOf.get(record);
    if (relation === undefined) continue;
    const fact = toFact(record, relation, subjectOf);
    const relationTemplates = templates.get(relation) ?? [];
    const texts = factTexts(fact, relationTemplates);
    const key = `${relation} ${groupKey(fact.subject)}`;
    if (relationTemplates.length < MIN_TEMPLATES) drop("its relation has fewer than two templates");
    else if (fact.object === fact.target_new) drop("the counterfactual answer is the true one");
    else if (seen.has(key)) drop("an earlier case states the same relation of the same subject");
    else if (texts.some((text) => (answerOfText.get(text) ?? fact.object) !== fact.object))
      drop("a text that asks for it already asks for another answer");
    else {
      seen.add(key);
      for (const text of texts) answerOfText.set(text, fact.object);
      facts.push(fact);
    }
  }
  for (const fact of facts) {
    const { subject, prompt, answer } = fact.locality;
    const known = answerOfText.get(prompt);
    if (subject === "" || groupKey(subject) === groupKey(fact.subject))
      removeLocality(fact, "neighbourhood prompt has no subject of its own");
    else if (known !== undefined && known !== answer)
      removeLocality(fact, "neighbourhood prompt contradicts a fact");
  }
  const used = new Set(facts.map((fact) => fact.relation));
  return {
    facts,
    templates: new Map([...templates].filter(([relation]) => used.has(relation))),
    rejectedPatterns: rejected.filter(({ relation }) => used.has(relation)),
    caseCount: cases.length,
    droppedCounts,
    removedLocalityCounts,
  };
}
