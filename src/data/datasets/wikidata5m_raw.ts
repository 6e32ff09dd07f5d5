import { SeprogError } from "../../errors.js";
import { Problems } from "../problems.js";
import { Rng } from "../random.js";
import { readLines } from "../read_lines.js";
import { SPLIT_SEED } from "../splits.js";
import { cleanText } from "../text.js";
import type { Split } from "../types.js";
import { readEntityIds, readEntityNames } from "./wikidata5m_entities.js";
import type { SlagFact, SlagSplits } from "./wikidata5m_slag.js";
import { type SortedTriples, TripleStore } from "./wikidata5m_triples.js";

/** The files of Wikidata5m as Wang et al. (2021) released them, unpacked: transductive triples and names. */
export interface Wikidata5mFiles {
  readonly train: string;
  readonly validation: string;
  readonly test: string;
  readonly entities: string;
  readonly relations: string;
}

/** The relations that SLAG keeps, by their canonical name. */
export const SLAG_RELATIONS: readonly string[] = [
  "place of birth",
  "award received",
  "cause of death",
  "place of death",
  "place of burial",
  "educated at",
  "child",
  "occupation",
  "spouse",
  "sibling",
];

/** Records of each split (`filter_wikidata.py`). */
export const SLAG_SIZES: Readonly<Record<Split, number>> = {
  train: 150_000,
  validation: 10_000,
  test: 10_000,
};

/** Largest share that a relation may have of a split. */
const RELATION_SHARE: Readonly<Record<Split, number>> = { train: 0.12, validation: 0.11, test: 0.11 };

/** The order in which SLAG fills the splits. */
const FILL_ORDER: readonly Split[] = ["test", "validation", "train"];

interface Relations {
  /** Names of each relation that is kept. */
  readonly names: readonly (readonly string[])[];
  /** Property number → place in `names`. */
  readonly placeOf: ReadonlyMap<number, number>;
}

/** Lines `P19<tab>place of birth<tab>…`. */
async function readRelations(path: string, problems: Problems): Promise<Relations> {
  const names: string[][] = [];
  const placeOf = new Map<number, number>();
  const seen = new Map<string, number>();
  for await (const { number, text } of readLines(path)) {
    const place = `${path}:${number}`;
    const [id = "", ...aliases] = (text ?? "").split("\t").map(cleanText);
    const known = aliases.filter((name) => name !== "");
    if (text === "") continue;
    if (text === undefined) problems.add(place, "expected UTF-8 text but received other bytes");
    else if (!/^P\d{1,9}$/.test(id))
      problems.add(place, `expected an id such as P19, a tab and names but received "${text.slice(0, 40)}"`);
    else if (seen.has(id)) problems.add(place, `expected a new id but ${id} is also at line ${seen.get(id)}`);
    else if (SLAG_RELATIONS.includes(known[0] ?? "")) {
      const same = names.findIndex(([label]) => label === known[0]);
      placeOf.set(Number(id.slice(1)), same === -1 ? names.length : same);
      if (same === -1) names.push([...new Set(known)]);
    }
    seen.set(id, number);
  }
  if (names.length < 2)
    problems.add(
      path,
      `expected at least two of the relations ${SLAG_RELATIONS.join(", ")} but received ${names.length}`,
    );
  return { names, placeOf };
}

/** A chosen relation of a chosen subject: positions of its triples. */
interface Choice {
  readonly subject: number;
  readonly relation: number;
  readonly objects: readonly number[];
}

/** Objects of each relation of one subject. */
function relationsOf(triples: SortedTriples, start: number): Map<number, number[]> {
  const { from, to } = triples.rangeFrom(start);
  const objects = new Map<number, number[]>();
  for (let at = from; at < to; at++) {
    const relation = triples.relationAt(at);
    const known = objects.get(relation);
    if (known === undefined) objects.set(relation, [triples.objectAt(at)]);
    else known.push(triples.objectAt(at));
  }
  return objects;
}

/**
 * Two relations a subject, subjects in seeded order; test is filled first, then validation, then train. No relation has
 * more than its share of a split. Unlike SLAG's, a subject of one split never returns in another.
 */
function chooseFacts(
  triples: SortedTriples,
  sizes: Readonly<Record<Split, number>>,
): Readonly<Record<Split, readonly Choice[]>> {
  const rng = Rng.fromSeed(SPLIT_SEED);
  const subjects = rng.shuffle(Array.from(triples.subjectsOfTwoRelations()));
  const used = new Uint8Array(subjects.length);
  const chosen: Record<Split, Choice[]> = { train: [], validation: [], test: [] };
  for (const split of FILL_ORDER) {
    const limit = RELATION_SHARE[split] * sizes[split];
    const counts = new Map<number, number>();
    for (const [i, start] of subjects.entries()) {
      if (chosen[split].length >= sizes[split]) break;
      if (used[i] === 1) continue;
      const objectsOf = relationsOf(triples, start);
      const open = [...objectsOf.keys()].filter((relation) => (counts.get(relation) ?? 0) < limit);
      if (open.length < 2) continue;
      for (const relation of rng.shuffle(open).slice(0, 2)) {
        counts.set(relation, (counts.get(relation) ?? 0) + 1);
        chosen[split].push({
          subject: triples.subjectAt(start),
          relation,
          objects: objectsOf.get(relation) ?? [],
        });
      }
      used[i] = 1;
    }
  }
  return chosen;
}

/**
 * SLAG's filtering of the raw files. No file is held: the named entities are a set of bits, the triples of the kept
 * relations one number each, and names are read in a second pass for the chosen entities only.
 * @throws SeprogError DATA_INVALID with `file:line` for every bad line, or if no subject has two of the relations
 */
export async function filterWikidata5m(
  files: Wikidata5mFiles,
  sizes: Readonly<Record<Split, number>> = SLAG_SIZES,
): Promise<SlagSplits> {
  const problems = new Problems();
  const relations = await readRelations(files.relations, problems);
  const ids = await readEntityIds(files.entities, problems);
  problems.throwIfAny("the names of Wikidata5m");
  const store = new TripleStore(ids, relations.placeOf);
  for (const path of [files.train, files.validation, files.test]) await store.read(path, problems);
  problems.throwIfAny("the triples of Wikidata5m");
  const chosen = chooseFacts(store.sorted(), sizes);
  if (chosen.test.length === 0)
    throw new SeprogError(
      "DATA_INVALID",
      `expected subjects with two of the relations ${SLAG_RELATIONS.join(", ")} in ${files.train} but received none`,
    );
  const wanted = new Uint8Array(ids.size);
  for (const { subject, objects } of FILL_ORDER.flatMap((split) => chosen[split]))
    for (const rank of [subject, ...objects]) wanted[rank] = 1;
  const namesOf = await readEntityNames(files.entities, ids, (rank) => wanted[rank] === 1);
  const toFact = ({ subject, relation, objects }: Choice): SlagFact => ({
    entity1: namesOf.get(subject) ?? [],
    relation: relations.names[relation] ?? [],
    entity2: [...new Set(objects.flatMap((object) => namesOf.get(object) ?? []))],
  });
  return {
    train: chosen.train.map(toFact),
    validation: chosen.validation.map(toFact),
    test: chosen.test.map(toFact),
  };
}
