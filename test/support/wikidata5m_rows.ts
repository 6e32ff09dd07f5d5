/** Facts about made-up persons in the two forms of Wikidata5m; the same index, the same person. */

const RELATIONS = [
  "place of birth",
  "occupation",
  "spouse",
  "sibling",
  "educated at",
  "child",
  "place of death",
  "place of burial",
  "cause of death",
  "award received",
] as const;

const relationNames = (relation: string) => [relation, `${relation} (other name)`, `${relation}, as a noun`];

/** The two relations of a person. */
export const relationsOf = (i: number): readonly [string, string] => [
  RELATIONS[i % 10] ?? "",
  RELATIONS[(i + 1 + (i % 7)) % 10] ?? "",
];

const personNames = (i: number) => [`Person ${i}`, `P. No. ${i}`, `The ${i}th`];
const objectNames = (relation: string, i: number) => [
  `${relation} ${i % 37}`,
  `${relation} number ${i % 37}`,
];

/** Two lines of SLAG's filtered files: adjacent, one subject, two relations. */
export const slagLines = (i: number) =>
  relationsOf(i).map((relation) => ({
    entity1: personNames(i),
    relation: relationNames(relation),
    entity2: objectNames(relation, i),
  }));

export interface RawFiles {
  readonly [name: string]: string;
}

/** The raw files for persons 0 … count − 1: triples, names of entities and relations. Every third is in valid, test. */
export function rawFiles(count: number): RawFiles {
  const relations = ["capital", ...RELATIONS];
  const person = (i: number) => `Q${5000 + 7 * i}`;
  const object = (relation: string, i: number) => `Q${100 * relations.indexOf(relation) + (i % 37)}`;
  const triples = Array.from({ length: count }, (_, i) => [
    ...relationsOf(i).map((relation) => [person(i), relation, object(relation, i)]),
    [person(i), "capital", object("capital", i)],
  ]).flat();
  const lines = triples.map(([s = "", r = "", o = ""]) => `${s}\tP${relations.indexOf(r)}\t${o}`);
  const objects = relations.flatMap((relation) =>
    Array.from({ length: 37 }, (_, i) => [object(relation, i), ...objectNames(relation, i)]),
  );
  const persons = Array.from({ length: count }, (_, i) => [person(i), ...personNames(i)]);
  const text = (rows: readonly string[]) => rows.map((row) => `${row}\n`).join("");
  return {
    "wikidata5m_transductive_train.txt": text(lines.filter((_, i) => i % 9 < 7)),
    "wikidata5m_transductive_valid.txt": text(lines.filter((_, i) => i % 9 === 7)),
    "wikidata5m_transductive_test.txt": text(lines.filter((_, i) => i % 9 === 8)),
    "wikidata5m_entity.txt": text([...objects, ...persons].map((names) => names.join("\t"))),
    "wikidata5m_relation.txt": text(
      relations.map((label, i) => [`P${i}`, ...relationNames(label)].join("\t")),
    ),
  };
}
