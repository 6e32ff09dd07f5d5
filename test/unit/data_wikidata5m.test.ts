import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { readAsset } from "../../src/data/assets.js";
import { loadWikidata5m } from "../../src/data/datasets/wikidata5m.js";
import { phrasings } from "../../src/data/episodes.js";
import { sameAnswer } from "../../src/data/text.js";
import { type Dataset, SPLITS } from "../../src/data/types.js";

describe("embedded set", () => {
  let loaded: Promise<Dataset> | undefined;
  const load = () => {
    loaded ??= loadWikidata5m();
    return loaded;
  };
  const all = async () => {
    const { splits } = await load();
    return SPLITS.flatMap((split) => splits[split]);
  };

  test("each record's hard out-of-scope is the other fact of its subject, with its gold", async () => {
    const { splits } = await load();
    for (const split of SPLITS) {
      const records = splits[split];
      expect(records.length % 2).toBe(0);
      for (const [i, record] of records.entries()) {
        const other = records[i ^ 1];
        expect(record.hard_out).toEqual([{ x: other?.x_loc, y_gold: other?.y_loc }]);
        expect(record.group).toBe(other?.group);
        expect(record.relation).not.toBe(other?.relation);
      }
    }
  });

  test("inputs are SLAG's, the blank at their end included", async () => {
    const records = await all();
    expect(records.filter(({ x_e }) => !/^\S.* has relation '[a-z ,]+' to $/.test(x_e))).toEqual([]);
  });

  test("no wording asks for two answers", async () => {
    const answerOf = new Map<string, string | undefined>();
    const contradictions: string[] = [];
    for (const record of await all())
      for (const x of phrasings(record)) {
        if (answerOf.has(x) && answerOf.get(x) !== record.y_loc[0]) contradictions.push(x);
        answerOf.set(x, record.y_loc[0]);
      }
    expect(contradictions).toEqual([]);
  });

  test("labels are answers of the relation in the split, none of them true", async () => {
    const { splits } = await load();
    for (const split of SPLITS) {
      const answers = new Map<string | undefined, Set<string | undefined>>();
      for (const { relation, y_loc } of splits[split])
        answers.set(relation, (answers.get(relation) ?? new Set()).add(y_loc[0]));
      for (const { relation, y_e_options, y_loc } of splits[split])
        for (const label of y_e_options) {
          expect(answers.get(relation)?.has(label)).toBe(true);
          expect(y_loc.some((gold) => sameAnswer(gold, label))).toBe(false);
        }
    }
  });

  test("wordings are filled and name the subject or an alias; texts are short", async () => {
    const records = await all();
    const texts = records.flatMap(({ in_scope }) => in_scope.map(({ x }) => x));
    expect(texts.filter((x) => /\[X\]|\s{2}|^\s/.test(x))).toEqual([]);
    expect(records.filter(({ in_scope }) => in_scope.length < 2)).toEqual([]);
    expect(records.filter(({ y_loc }) => (y_loc[0]?.length ?? 0) > 30)).toEqual([]);
  });

  test("the manifest speaks of the files", async () => {
    const manifest = JSON.parse(await readAsset("wikidata5m/manifest.json"));
    const { splits } = await load();
    const counts = new Map<string, number>();
    for (const { relation = "" } of await all()) counts.set(relation, (counts.get(relation) ?? 0) + 1);
    for (const split of SPLITS) expect(manifest.splits[split]).toBe(splits[split].length);
    expect(Object.fromEntries(counts)).toEqual(manifest.relations);
    expect(Math.min(...counts.values())).toBeGreaterThanOrEqual(60);
  });

  test("the licence names every source", async () => {
    const licence = await readFile(new URL("../../assets/data/wikidata5m/LICENSE", import.meta.url), "utf8");
    for (const source of ["HalluEditBench", "KnowEdit", "RippleEdits", "KGConv", "CC0"])
      expect(licence).toContain(source);
  });
});
