// Regenerates training leaps from Leap-Of-Thought's knowledge base: its own training file is not among the sources.
import { readFileSync } from "node:fs";
import { hypothesisSentence, ruleSentence, truth } from "../../dist/data/datasets/leapofthought_formats.js";
import { Rng } from "../../dist/data/random.js";
import { SPLIT_SEED } from "../../dist/data/splits.js";
import { cleanText, groupKey } from "../../dist/data/text.js";

/** Hypernyms of the official dev and test records; the training file has all others. */
const HELD_OUT = new Set(["tree", "flower", "fruit", "music", "bird", "alcohol", "plant"]);

/** Share of the predicates among the properties, as in the official training records that are known (per cent). */
const PREDICATE_WEIGHT = new Map([
  ["/r/IsA", 39],
  ["meronym", 33],
  ["/r/Desires", 13],
  ["/r/CapableOf", 9],
  ["/r/PartOf", 4],
  ["/r/Antonym", 2],
]);

export const PROPERTY_PREDICATES = new Set(PREDICATE_WEIGHT.keys());

/** Properties of its hypernym that a rule is asked about, at most, and as many that it does not have. */
const PROPERTIES_A_RULE = 2;

/** Draws before a rule goes without a property that it does not have. */
const REDRAWS = 200;

/** One line of the file: fields with a comma are quoted. */
function parseCsvLine(line) {
  return [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(
    ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain,
  );
}

export function readKnowledge(path) {
  const [, ...lines] = readFileSync(path, "utf8").trim().split(/\r?\n/);
  return lines.map((line) => {
    const [subject, predicate, object, source, validity] = parseCsvLine(line);
    return { subject, predicate, object, source, validity };
  });
}

const keyOf = ({ predicate, object }) => `${predicate} ${groupKey(object)}`;

class Knowledge {
  /** subject → hypernyms, and subject → its own properties */
  hypernyms = new Map();
  properties = new Map();

  constructor(rows) {
    const put = (map, subject, item) => {
      if (map.has(subject)) map.get(subject).push(item);
      else map.set(subject, [item]);
    };
    for (const row of rows) {
      if (row.validity !== "always true") continue;
      // The official rules are of WordNet and ConceptNet; Wikidata's ("William is a human") are not used.
      if (row.predicate === "hypernym" && row.source !== "wikidata")
        put(this.hypernyms, row.subject, row.object);
      if (PROPERTY_PREDICATES.has(row.predicate)) put(this.properties, row.subject, row);
    }
  }

  /** What the knowledge base says of a subject, by itself or through anything that it is. */
  known(subject) {
    const seen = new Set();
    const open = [subject];
    const keys = new Set();
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (seen.has(at)) continue;
      seen.add(at);
      keys.add(`/r/IsA ${groupKey(at)}`);
      for (const property of this.properties.get(at) ?? []) {
        keys.add(keyOf(property));
        if (property.predicate === "/r/IsA") open.push(property.object);
      }
      open.push(...(this.hypernyms.get(at) ?? []));
    }
    return keys;
  }
}

function drawWeighted(properties, rng) {
  const predicates = [...new Set(properties.map(({ predicate }) => predicate))];
  const total = predicates.reduce((sum, predicate) => sum + PREDICATE_WEIGHT.get(predicate), 0);
  let draw = rng.unit() * total;
  const chosen = predicates.find((predicate) => {
    draw -= PREDICATE_WEIGHT.get(predicate);
    return draw < 0;
  });
  return rng.pick(properties.filter(({ predicate }) => predicate === (chosen ?? predicates[0])));
}

/**
 * Leaps of every rule whose hypernym has properties: hypotheses that follow, and as many that do not, with properties
 * that other rules' hypernyms have. A property is as often true as false, so that the answer is not in the property.
 * @param isTaken says whether a subject belongs to another split
 */
export function regenerateLeaps(path, isTaken) {
  const knowledge = new Knowledge(readKnowledge(path));
  const rng = Rng.fromSeed(SPLIT_SEED);
  const rules = [...knowledge.hypernyms].flatMap(([subject, objects]) =>
    [...new Set(objects)].map((object) => ({ subject, predicate: "hypernym", object })),
  );
  const usable = rules.filter(
    ({ subject, object }) =>
      !HELD_OUT.has(object) && knowledge.properties.has(object) && !isTaken(groupKey(subject)),
  );
  const leaps = new Map();
  const contradictory = new Set();
  const add = (rule, property, holds) => {
    const hypothesis = cleanText(hypothesisSentence({ ...property, subject: rule.subject }));
    const known = leaps.get(hypothesis);
    if (known !== undefined) {
      if (known.answer !== truth(holds)) contradictory.add(hypothesis);
      return false;
    }
    leaps.set(hypothesis, {
      id: `kb-${leaps.size}`,
      rule: cleanText(ruleSentence(rule)),
      hypothesis,
      answer: truth(holds),
      subjects: [groupKey(rule.subject)],
      property: keyOf(property),
      distractors: [],
      origin: "train",
    });
    return true;
  };

  const drawn = [];
  for (const rule of usable) {
    const own = knowledge.properties.get(rule.object);
    const wanted = Math.min(PROPERTIES_A_RULE, own.length);
    for (let i = 0; i < wanted; i++) {
      const property = drawWeighted(own, rng);
      if (property.object !== rule.subject && add(rule, property, true)) drawn.push({ rule, property });
    }
  }
  const waiting = rng.shuffle(drawn.map(({ property }) => property));
  for (const { rule } of drawn) {
    const known = knowledge.known(rule.subject);
    for (let i = 0; i < Math.min(REDRAWS, waiting.length); i++) {
      const at = waiting.length - 1 - rng.int(Math.min(REDRAWS, waiting.length));
      const property = waiting[at];
      if (known.has(keyOf(property)) || property.object === rule.subject || !add(rule, property, false))
        continue;
      waiting[at] = waiting.at(-1);
      waiting.pop();
      break;
    }
  }
  return [...leaps.values()].filter(({ hypothesis }) => !contradictory.has(hypothesis));
}
