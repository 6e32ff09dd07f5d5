import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readAsset } from "../../src/data/assets.js";
import { loadWikipedia } from "../../src/data/datasets/wikipedia.js";
import { readSelfSample } from "../../src/data/datasets/wikipedia_files.js";
import { cutBeforeLast, textIds } from "../../src/data/datasets/wikipedia_tokens.js";
import { readWikitext } from "../../src/data/datasets/wikitext.js";
import { evaluationEpisodes } from "../../src/data/evaluation_episodes.js";
import { loadPassages } from "../../src/data/passages.js";
import { Problems } from "../../src/data/problems.js";
import { loadDataset } from "../../src/data/registry.js";
import { SPLITS } from "../../src/data/types.js";
import { Tokenizer } from "../../src/tokenizers/tokenizer.js";
import { bytesGained, writeEndlessLine } from "../support/bad_files.js";
import { selfSample, wikitext } from "../support/wikipedia_rows.js";

let folder: string;
let tokenizer: Tokenizer;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "seprog-wikipedia-"));
  tokenizer = await Tokenizer.load(
    fileURLToPath(new URL("../fixtures/golden/tokenizers/gpt2_bpe", import.meta.url)),
  );
});
afterAll(() => rm(folder, { recursive: true }));

async function save(name: string, content: string | Buffer): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

describe("cut before the last tokens", () => {
  const cut = (text: string, count: number) => cutBeforeLast(textIds(text, tokenizer), count, tokenizer);

  test("both parts are the tokens they were", () => {
    const text = "The first king of the north made new games, and all the people came.";
    const parts = cut(text, 10);
    expect(`${parts?.head}${parts?.tail}`).toBe(text);
    expect(textIds(parts?.tail ?? "", tokenizer)).toHaveLength(10);
    expect(textIds(parts?.head ?? "", tokenizer)).toHaveLength(textIds(text, tokenizer).length - 10);
  });

  test("none where a character would be torn, or nothing is left before it", () => {
    const tokens = textIds("towns 東", tokenizer);
    expect(tokenizer.decode(tokens.subarray(-1))).toContain("\ufffd");
    expect(cut("towns 東", 1)).toBeUndefined();
    expect(cut("towns", textIds("towns", tokenizer).length)).toBeUndefined();
  });
});

describe("WikiText", () => {
  test("paragraphs of at least 50 words, ASCII only, as they stand", async () => {
    const path = await save("wiki.raw", wikitext(24, 1));
    const passages = await readWikitext(path, 1, new Problems());
    expect(passages).toHaveLength(12);
    for (const text of passages) expect(text).toMatch(/^Paragraph 1 @-@ \d+ [ -~]* \.$/);
  });

  test("a share of the file", async () => {
    const path = await save("wiki.share.raw", wikitext(240, 2));
    const all = await readWikitext(path, 1, new Problems());
    const tenth = await readWikitext(path, 0.1, new Problems());
    expect(tenth.length).toBeGreaterThan(5);
    expect(tenth).toEqual(all.slice(0, tenth.length));
    expect(tenth.length).toBeLessThan(0.15 * all.length);
  });
});

describe("MEND's self_sample files", () => {
  const wiki = async (name: string, seed: number, words?: number) => ({
    path: await save(name, wikitext(60, seed, words)),
    share: 1,
  });

  test("x_e is the completion without its last ten tokens, y_e these; an ordinary example is a passage cut alike", async () => {
    const sample = selfSample(40, 3);
    const path = await save("sample.json", JSON.stringify(sample));
    const records = await readSelfSample(path, await wiki("wiki.a.raw", 4), tokenizer);
    expect(records).toHaveLength(40);
    const passages = new Set(await readWikitext(join(folder, "wiki.a.raw"), 1, new Problems()));
    for (const [i, record] of records.entries()) {
      expect(record).toMatchObject({ id: `wikipedia-sample-${i}`, in_scope: [], hard_out: [], entailed: [] });
      expect(record.x_e + record.y_e_options[0]).toBe(sample.completions[i]);
      expect(textIds(record.y_e_options[0] ?? "", tokenizer)).toHaveLength(10);
      expect(passages.has(record.x_loc + record.y_loc[0])).toBe(true);
      expect(textIds(record.y_loc[0] ?? "", tokenizer)).toHaveLength(10);
    }
  });

  test("a long passage is cut on the right, at 200 tokens with its answer", async () => {
    const path = await save("long.json", JSON.stringify(selfSample(20, 5)));
    const records = await readSelfSample(path, await wiki("wiki.long.raw", 6, 400), tokenizer);
    for (const { x_loc } of records) expect(textIds(x_loc, tokenizer)).toHaveLength(190);
  });

  test("the folder is a data set: 5 % of train validate, valid.json tests, passages come from their own file", async () => {
    const directory = join(folder, "official");
    await mkdir(directory);
    await writeFile(join(directory, "train.json"), JSON.stringify(selfSample(200, 7)));
    await writeFile(join(directory, "valid.json"), JSON.stringify(selfSample(150, 8)));
    await writeFile(join(directory, "wiki.train.raw"), wikitext(900, 9));
    await writeFile(join(directory, "wiki.valid.raw"), wikitext(200, 10));
    const { splits } = await loadDataset(`wikipedia:${directory}`, { tokenizer });
    expect(SPLITS.map((split) => splits[split].length)).toEqual([190, 10, 150]);
    for (const { x_loc } of splits.train) expect(x_loc).toMatch(/^Paragraph 9 /);
    for (const { x_loc } of splits.test) expect(x_loc).toMatch(/^Paragraph 10 /);
    const [episode] = evaluationEpisodes(splits.test, 20);
    expect(episode?.inScope.map(({ kind }) => kind)).toEqual(Array(20).fill("self"));
    await expect(loadDataset(`wikipedia:${directory}`)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    await expect(loadDataset(`wikipedia:${directory}`)).rejects.toThrow("give --model");
  });

  const sample = selfSample(4, 11);
  test.each<[string, object, RegExp]>([
    ["a field that is missing", { ...sample, completions: undefined }, /:1: `completions`: expected array/],
    ["a field of another kind", { ...sample, original: "x" }, /:1: `original`: expected array/],
    ["no whole number of tokens", { ...sample, n_tokens: 0 }, /:1: `n_tokens`: .*>=1/],
    [
      "lists of two lengths",
      { ...sample, original: ["a"] },
      /:1: `completions`: expected as many completions/,
    ],
    [
      "an empty completion",
      { ...sample, completions: ["a", " ", "b", "c"] },
      /`completions.1`: expected a passage/,
    ],
    [
      "a completion without a start",
      { ...sample, completions: ["a", ...sample.completions.slice(1)] },
      /`completions.0`: expected more than `n_tokens` = 10 tokens but received 1/,
    ],
  ])("%s is told", async (name, content, message) => {
    const path = await save(`${name.replaceAll(" ", "-")}.json`, JSON.stringify(content));
    const reading = readSelfSample(path, await wiki("wiki.bad.raw", 12), tokenizer);
    await expect(reading).rejects.toMatchObject({ code: "DATA_INVALID" });
    await expect(reading).rejects.toThrow(message);
    await expect(reading).rejects.toThrow(path);
  });

  test.each<[string, string | Buffer, RegExp]>([
    ["no JSON", "{", /expected one UTF-8 JSON object at .*:1/],
    [
      "bytes of another encoding",
      Buffer.from(JSON.stringify({ ...sample, original: ["é"] }), "latin1"),
      /UTF-8/,
    ],
  ])("%s is told", async (name, content, message) => {
    const path = await save(`${name.replaceAll(" ", "-")}.json`, content);
    const reading = readSelfSample(path, await wiki("wiki.bad.raw", 12), tokenizer);
    await expect(reading).rejects.toMatchObject({ code: "DATA_INVALID" });
    await expect(reading).rejects.toThrow(message);
  });

  test("a file beyond reason and a line beyond reason are refused without being held", async () => {
    const path = await save("huge.json", "{");
    await truncate(path, 2 ** 30);
    const small = await save("small.json", JSON.stringify(sample));
    const endless = join(folder, "endless.raw");
    await writeEndlessLine(endless, wikitext(3, 13));
    const gained = await bytesGained(async () => {
      const huge = readSelfSample(path, await wiki("wiki.bad.raw", 12), tokenizer);
      await expect(huge).rejects.toThrow(/1073741824 bytes; at most/);
      const reading = readSelfSample(small, { path: endless, share: 1 }, tokenizer);
      await expect(reading).rejects.toThrow(`received a longer one at ${endless}:`);
    });
    expect(gained).toBeLessThan(2 ** 28);
  });

  test("a WikiText file without passages is told", async () => {
    const path = await save("fine.json", JSON.stringify(sample));
    const short = await save("wiki.short.raw", wikitext(9, 14, 30));
    await expect(readSelfSample(path, { path: short, share: 1 }, tokenizer)).rejects.toThrow(
      `${short}: expected paragraphs of at least 50 words`,
    );
  });
});

describe("embedded set", () => {
  test("passages: running text of ASCII in three splits, no article in two of them", async () => {
    const passages = await loadPassages();
    const articles = SPLITS.map((split) => new Set(passages[split].map(({ group }) => group)));
    const all = SPLITS.flatMap((split) => passages[split]);
    expect(new Set(articles.flatMap((names) => [...names])).size).toBe(
      articles.reduce((sum, names) => sum + names.size, 0),
    );
    expect(new Set(all.map(({ text }) => text)).size).toBe(all.length);
    const odd = ({ text }: { text: string }) =>
      !/^[ -~]+$/.test(text) || /@[-,.]@|<unk>| {2}| [.,;!?)]( |$)/.test(text);
    expect(all.filter(odd)).toEqual([]);
  });

  test("continuations are ten tokens of the base model, alone and behind their input; the manifest counts them", async () => {
    const manifest = JSON.parse(await readAsset("wikipedia/manifest.json"));
    const base = await Tokenizer.load(
      fileURLToPath(new URL("../../assets/models/gpt2-mini", import.meta.url)),
    );
    const { splits } = await loadWikipedia();
    for (const split of SPLITS) expect(splits[split]).toHaveLength(manifest.edits[split]);
    for (const { x_e, y_e_options, x_loc, y_loc } of splits.test.slice(0, 200)) {
      const [label = ""] = y_e_options;
      const ids = textIds(x_e, base);
      expect([...textIds(x_e + label, base)]).toEqual([...ids, ...textIds(label, base)]);
      expect(textIds(label, base)).toHaveLength(10);
      expect([...ids]).toEqual([...textIds(x_loc, base), ...textIds(y_loc[0] ?? "", base)]);
      expect(textIds(y_loc[0] ?? "", base)).toHaveLength(10);
      expect(x_e.split(" ").length).toBeLessThanOrEqual(60);
    }
  });

  async function rootWith(files: Readonly<Record<string, readonly object[]>>): Promise<string> {
    const root = await mkdtemp(join(folder, "root-"));
    await mkdir(join(root, "wikipedia"));
    const checksums: Record<string, { sha256: string; bytes: number }> = {};
    for (const [name, rows] of Object.entries(files)) {
      const text = rows.map((row) => `${JSON.stringify(row)}\n`).join("");
      checksums[name] = { sha256: createHash("sha256").update(text).digest("hex"), bytes: text.length };
      await writeFile(join(root, name), gzipSync(text));
    }
    await writeFile(join(root, "checksums.json"), JSON.stringify(checksums));
    return root;
  }
  const passages = SPLITS.map((split) => ({
    id: split,
    group: split,
    split,
    text: "One two three four five.",
  }));

  test("continuations that were not sampled yet: what to run is told", async () => {
    const root = await rootWith({ "wikipedia/passages.jsonl.gz": passages });
    await expect(loadWikipedia({ root })).rejects.toMatchObject({ code: "DATA_INVALID" });
    await expect(loadWikipedia({ root })).rejects.toThrow(
      "node scripts/data/build_wikipedia_edits.mjs --model",
    );
  });

  test("a record is the start of a passage, what was sampled after it, and how it truly goes on", async () => {
    const edit = { id: "test", inputLength: 18, headLength: 8, continuation: " more to come" };
    const root = await rootWith({
      "wikipedia/passages.jsonl.gz": passages,
      "wikipedia/edits.jsonl.gz": [edit],
    });
    const { splits } = await loadWikipedia({ root });
    expect(splits.train).toEqual([]);
    expect(splits.test).toMatchObject([
      {
        x_e: "One two three four",
        y_e_options: [" more to come"],
        in_scope: [],
        x_loc: "One two ",
        y_loc: ["three four"],
      },
    ]);
  });
});
