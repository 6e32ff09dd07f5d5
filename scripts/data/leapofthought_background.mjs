// The unstated knowledge of Leap-Of-Thought: what holds, and what does not, of the classes that its rules put subjects in.
import { hypothesisSentence, truth } from "../../dist/data/datasets/leapofthought_formats.js";
import { Rng } from "../../dist/data/random.js";
import { SPLIT_SEED } from "../../dist/data/splits.js";
import { cleanText } from "../../dist/data/text.js";
import { PROPERTY_PREDICATES, readKnowledge } from "./leapofthought_kb.mjs";

/** Properties said of a class that it does not have, at least, so that no class is known by what it has alone. */
const FALSE_STATEMENTS_A_CLASS = 16;

/** A rule "A S is a O." as its subject and class; official rules have no other form. */
function classRule(rule) {
  const [, subject, object] = /^A (.+?) is a (.+)\.$/.exec(rule) ?? [];
  return { subject, object };
}

/** What a hypothesis says of its rule's subject, without the subject. */
function propertyOf({ rule, hypothesis }) {
  const opening = `A ${classRule(rule).subject} `;
  return hypothesis.startsWith(opening) ? hypothesis.slice(opening.length) : undefined;
}

/**
 * Statements about classes: every property that the knowledge base gives them, what the hypotheses of their members
 * say, as their answers have it, and further properties that they lack. None is a rule or a hypothesis of a leap.
 */
export function backgroundStatements(leaps, knowledgePath) {
  const classes = new Set(leaps.map(({ rule }) => classRule(rule).object));
  const sentences = new Set(leaps.flatMap(({ rule, hypothesis }) => [rule, hypothesis]));
  const statements = new Map();
  const contradictory = new Set();
  const add = (x, holds) => {
    if (sentences.has(x)) return;
    if (statements.has(x) && statements.get(x) !== holds) contradictory.add(x);
    statements.set(x, holds);
  };

  const stated = new Set();
  for (const row of readKnowledge(knowledgePath)) {
    if (
      row.validity !== "always true" ||
      !classes.has(row.subject) ||
      !PROPERTY_PREDICATES.has(row.predicate)
    )
      continue;
    const x = cleanText(hypothesisSentence(row));
    stated.add(x);
    add(x, true);
  }
  const properties = new Map();
  for (const leap of leaps) {
    const property = propertyOf(leap);
    if (property === undefined) continue;
    properties.set(property, (properties.get(property) ?? 0) + 1);
    const x = `A ${classRule(leap.rule).object} ${property}`;
    // A member may lack what its class has: of the class the knowledge base is right.
    if (!stated.has(x)) add(x, leap.answer === truth(true));
  }

  const rng = Rng.fromSeed(SPLIT_SEED);
  const drawable = [...properties].flatMap(([property, count]) => Array(count).fill(property));
  for (const name of classes) {
    const opening = `A ${name} `;
    const own = [...statements].filter(([x, holds]) => !holds && x.startsWith(opening)).length;
    for (let i = own; i < FALSE_STATEMENTS_A_CLASS; i++) {
      const x = opening + rng.pick(drawable);
      if (!statements.has(x)) add(x, false);
    }
  }
  for (const x of contradictory) statements.delete(x);
  return [...statements].map(([x, holds]) => ({ x, y: truth(holds) }));
}
