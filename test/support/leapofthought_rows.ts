import { createHash } from "node:crypto";
import { Rng } from "../../src/data/random.js";

/** Chains subject → hypernym → property of made-up kinds, in Leap-Of-Thought's form. */

const KINDS = ["blick", "dax", "fep", "gorp", "lorch", "toma", "wug", "zav"];
const PROPERTIES = [
  { predicate: "meronym", object: "crest", says: "has a" },
  { predicate: "/r/CapableOf", object: "hover", says: "is capable of" },
  { predicate: "/r/Desires", object: "salt", says: "desires" },
  { predicate: "/r/IsA", object: "keeper", says: "is a" },
] as const;

/** Which kinds have which properties: half of them each. */
const holds = (kind: number, property: number): boolean => ((kind >> (property % 3)) & 1) === 0;

export interface LeapRow {
  readonly id: string;
  readonly phrase: string;
  readonly answer: 0 | 1;
  readonly context: string;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/**
 * @param split as the rows name it
 * @param firstSubject subjects are `thing-<number>`, three rows each; every fifth row states its rule instead of leaving
 *   it implicit
 */
export function leapOfThoughtRows(count: number, seed: number, split: string, firstSubject = 0): LeapRow[] {
  const rng = Rng.fromSeed(seed);
  return Array.from({ length: count }, (_, i) => {
    const number = firstSubject + Math.floor(i / 3);
    const [subject, kind] = [`thing-${number}`, number % KINDS.length];
    const property = (i % 3) + (rng.chance(0.5) && i % 3 === 2 ? 1 : 0);
    const { predicate, object, says } = PROPERTIES[property % PROPERTIES.length] ?? PROPERTIES[0];
    const isTrue = holds(kind, property);
    const validity = isTrue ? "always true" : "never true";
    const hypernym = KINDS[kind] ?? "";
    const other = KINDS.findIndex((_, at) => at !== kind && holds(at, property) !== isTrue);
    const phrase = `A ${subject} ${says} ${object}.`;
    const rule = {
      subject,
      predicate: "hypernym",
      object: hypernym,
      source: "made up",
      validity: "always true",
    };
    return {
      id: createHash("md5").update(phrase).digest("hex"),
      phrase,
      answer: isTrue ? 1 : 0,
      context: `A ${subject} is a ${hypernym}. A ${hypernym} ${isTrue ? "" : "never "}${says} ${object}.`,
      metadata: {
        statement: { subject, predicate, object, validity },
        ...(i % 5 !== 4 && { implicit_rule: rule }),
        property: { subject: hypernym, predicate, object, validity },
        rules: [`A ${subject} is a ${hypernym}.`],
        distractors: {
          property: [
            {
              subject: KINDS[other] ?? "",
              predicate,
              object,
              validity: isTrue ? "never true" : "always true",
            },
          ],
        },
        split,
      },
    };
  });
}
