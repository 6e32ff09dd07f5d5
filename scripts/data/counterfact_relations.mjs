/**
 * CounterFact as released carries no relation ids. Its cases were drawn from ParaRel's fact files, so a case's relation is
 * found by two independent signs that must agree: the fact file that holds its (subject, object) pair, and the relations
 * its prompt template stands for.
 */

export function promptTemplate(record) {
  return record.prompt.replace(record.subject, () => "[X]");
}

const pairKey = (subject, object) => `${subject}\u0000${object}`;

/** @param {Map<string, {sub_label: string, obj_label: string}[]>} facts relation id to ParaRel fact lines */
function indexPairs(facts) {
  const relationsOfPair = new Map();
  for (const [relation, lines] of facts)
    for (const line of lines) {
      const key = pairKey(line.sub_label, line.obj_label);
      if (!relationsOfPair.has(key)) relationsOfPair.set(key, new Set());
      relationsOfPair.get(key).add(relation);
    }
  return relationsOfPair;
}

/** A relation belongs to a template if it explains at least this share of the template's cases that no larger one does. */
const MIN_SHARE = 0.05;

/** Smallest greedy cover of a template's cases by relations. @param {Set<string>[]} votes one set a case */
function coveringRelations(votes) {
  const cover = new Set();
  let open = votes.filter((vote) => vote.size > 0);
  const needed = Math.max(1, MIN_SHARE * open.length);
  while (open.length > 0) {
    const counts = new Map();
    for (const vote of open)
      for (const relation of vote) counts.set(relation, (counts.get(relation) ?? 0) + 1);
    const [best, count] = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))[0];
    if (count < needed) break;
    cover.add(best);
    open = open.filter((vote) => !vote.has(best));
  }
  return cover;
}

/**
 * @returns {{relationOf: Map<object, string>, dropped: Map<object, string>}} every case is in exactly one of the two;
 *   `dropped` gives the reason
 */
export function assignRelations(records, facts) {
  const relationsOfPair = indexPairs(facts);
  const objectsOf = new Map(
    [...facts].map(([relation, lines]) => [relation, new Set(lines.map((line) => line.obj_label))]),
  );
  const votes = (record) => relationsOfPair.get(pairKey(record.subject, record.ground_truth)) ?? new Set();
  const byTemplate = new Map();
  for (const record of records) {
    const template = promptTemplate(record);
    if (byTemplate.has(template)) byTemplate.get(template).push(record);
    else byTemplate.set(template, [record]);
  }
  const relationOf = new Map();
  const dropped = new Map();
  for (const group of byTemplate.values()) {
    const cover = coveringRelations(group.map(votes));
    for (const record of group) {
      const candidates = [...votes(record)].filter((relation) => cover.has(relation));
      if (candidates.length === 0)
        dropped.set(record, "its subject and object are in no ParaRel fact file of its prompt");
      else if (candidates.length > 1) dropped.set(record, "two relations fit its prompt and its fact");
      else if (!objectsOf.get(candidates[0]).has(record.target_new))
        dropped.set(record, "the counterfactual answer is not an object of the relation");
      else relationOf.set(record, candidates[0]);
    }
  }
  return { relationOf, dropped };
}
