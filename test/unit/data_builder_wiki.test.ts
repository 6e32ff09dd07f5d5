import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const script = (name: string) => import(new URL(`../../scripts/data/${name}`, import.meta.url).href);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "seprog-builder-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function save(name: string, content: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

describe("WikiText's words as running text", () => {
  test.each([
    ["The game 's theme was sung by May 'n .", "The game's theme was sung by May 'n."],
    ["a role @-@ playing game of 1 @,@ 000 km / h", "a role-playing game of 1,000 km/h"],
    ['He said " no , never " , then left .', 'He said "no, never", then left.'],
    ["( 16 @.@ 1 in ) at 21 : 00 : late", "(16.1 in) at 21:00: late"],
    ["They did n't pay $ 5 or 10 % .", "They didn't pay $5 or 10%."],
  ])("%s", async (words, text) => {
    const { joinWords } = await script("wikitext.mjs");
    expect(joinWords(words.split(" "))).toBe(text);
  });
});

describe("passages of WikiText", () => {
  const long = (word: string) => `${word} ${"word ".repeat(30)}.`;

  test("whole sentences that follow one another; lost words and foreign letters end a passage", async () => {
    const { readPassages } = await script("wikitext.mjs");
    const path = await save(
      "wiki.tokens",
      [
        " = An Article = ",
        ` ${long("One")} ${long("Two")} <unk> said it . ${long("Three")} ${long("Four")} ${long("Five")} ${long("Six")} `,
        " = = Heading = = ",
        ` ${long("Seven")} Zürich is nice . ${long("Eight")} `,
        " = Another = ",
        ` ${long("Nine")} ${long("Ten")} `,
        ` ${long("Cut")} ${long("off")}`,
      ].join("\n"),
    );
    const passages: { article: string; words: string[] }[] = readPassages(path, {
      minWords: 50,
      pieceWords: 90,
      dropLastLine: true,
    });
    const begins = passages.map(({ article, words }) => `${article}: ${words[0]}`);
    expect(begins).toEqual(["An Article: One", "An Article: Three", "Another: Nine"]);
    expect(passages.map(({ words }) => words.length)).toEqual([64, 96, 64]);
  });

  test("a sentence whose quotes or brackets stay open is left out", async () => {
    const { readPassages } = await script("wikitext.mjs");
    const path = await save("open.tokens", ` ${long("One")} It ( was . ${long("Two")} ${long("Three")} `);
    const passages: { words: string[] }[] = readPassages(path, { minWords: 50, pieceWords: 90 });
    expect(passages.map(({ words }) => words[0])).toEqual(["Two"]);
  });
});

test("CSV: quoted fields hold commas, quotes and line ends", async () => {
  const { readCsv } = await script("csv.mjs");
  const path = await save("a.csv", 'a,b\n"x, ""y""\nz",2\n,"" \n'.replace('"" \n', '""\n'));
  expect(readCsv(path)).toEqual([
    { a: 'x, "y"\nz', b: "2" },
    { a: "", b: "" },
  ]);
});

describe("pairs of facts", () => {
  const subject = (label: string, facts: Readonly<Record<string, string>>) => ({
    label,
    aliases: [],
    facts: new Map(
      Object.entries(facts).map(([relation, answer]) => [relation, { answers: [answer], questions: [] }]),
    ),
  });

  test("relations of the paper first, never the same answer twice, none too rare", async () => {
    const { selectPairs } = await script("wikidata5m_selection.mjs");
    const subjects = Array.from({ length: 600 }, (_, i) =>
      subject(`S${i}`, {
        "place of birth": `Town ${i % 9}`,
        country: `Land ${i % 5}`,
        ...(i % 2 === 0
          ? { occupation: `Work ${i % 4}` }
          : { genre: `Town ${i % 9}`, sport: `Sport ${i % 3}` }),
        ...(i < 20 && { spouse: `Wife ${i}` }),
      }),
    );
    const pairs: { facts: { relation: string; fact: { answers: string[] } }[] }[] = selectPairs(subjects);
    const counts = new Map<string, number>();
    for (const { facts } of pairs) {
      const [a, b] = facts;
      expect(facts).toHaveLength(2);
      expect(a?.relation).not.toBe(b?.relation);
      expect(a?.fact.answers).not.toEqual(b?.fact.answers);
      for (const { relation } of facts) counts.set(relation, (counts.get(relation) ?? 0) + 1);
    }
    expect(counts.get("spouse")).toBeUndefined();
    for (const count of counts.values()) {
      expect(count).toBeGreaterThanOrEqual(60);
      expect(count).toBeLessThanOrEqual(0.12 * 1200);
    }
    const [first] = pairs;
    expect(["place of birth", "occupation"]).toContain(first?.facts[0]?.relation);
  });
});
