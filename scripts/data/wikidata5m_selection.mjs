import { Rng } from "../../dist/data/random.js";
import { groupKey } from "../../dist/data/text.js";
import { RELATIONS } from "./wikidata5m_relations.mjs";

/** No relation makes up more of the records, as in SLAG's training split. */
const MAX_SHARE = 0.12;
/** A relation with fewer records has too few answers in a split to draw other labels from. */
const MIN_RECORDS = 60;

const ofPaper = new Set(RELATIONS.filter((relation) => relation.ofPaper).map(({ label }) => label));

const increase = (counts, key, by = 1) => counts.set(key, (counts.get(key) ?? 0) + by);

/** How often each answer is given to each relation. */
function countAnswers(subjects) {
  const counts = new Map();
  for (const { facts } of subjects)
    for (const [relation, { answers }] of facts) increase(counts, `${relation}\u0000${groupKey(answers[0])}`);
  return counts;
}

/**
 * Two facts of different relations a subject, in seeded order of the subjects: the paper's relations first, then answers
 * that other facts share, so that a base model of few parameters can know them.
 */
function choosePairs(subjects, limit) {
  const answerCounts = countAnswers(subjects);
  const taken = new Map();
  const pairs = [];
  for (const subject of Rng.fromSeed(0).shuffle([...subjects])) {
    const order = [...subject.facts]
      .filter(([relation]) => (taken.get(relation) ?? 0) < limit)
      .map(([relation, fact]) => ({
        relation,
        fact,
        shared: answerCounts.get(`${relation}\u0000${groupKey(fact.answers[0])}`),
      }))
      .sort(
        (a, b) =>
          ofPaper.has(b.relation) - ofPaper.has(a.relation) ||
          b.shared - a.shared ||
          (a.relation < b.relation ? -1 : 1),
      );
    // The same answer twice would let an edit of one fact change the other.
    const [first, ...rest] = order;
    const second = rest.find(({ fact }) => !sharesAnswer(fact, first.fact));
    if (second === undefined) continue;
    for (const { relation } of [first, second]) increase(taken, relation);
    pairs.push({ subject, facts: [first, second] });
  }
  return { pairs, taken };
}

function sharesAnswer(a, b) {
  const keys = new Set(a.answers.map(groupKey));
  return b.answers.some((answer) => keys.has(groupKey(answer)));
}

/**
 * Pairs of facts about one subject, in which every relation has between 60 records and 12 % of all.
 * @param subjects as `loadWikidataFacts` gives them
 */
export function selectPairs(subjects) {
  let usable = subjects.filter(({ facts }) => facts.size >= 2);
  for (;;) {
    const { pairs, taken } = choosePairs(usable, Math.floor(MAX_SHARE * 2 * usable.length));
    const rare = [...taken].filter(([, count]) => count < MIN_RECORDS).map(([relation]) => relation);
    if (rare.length === 0) return pairs;
    usable = usable
      .map((subject) => ({
        ...subject,
        facts: new Map([...subject.facts].filter(([relation]) => !rare.includes(relation))),
      }))
      .filter(({ facts }) => facts.size >= 2);
  }
}
