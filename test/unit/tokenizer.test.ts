import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { phrasings } from "../../src/data/episodes.js";
import { loadDataset } from "../../src/data/registry.js";
import { SPLITS } from "../../src/data/types.js";
import { HubTokenizerClass } from "../../src/tokenizers/hub_library.js";
import { PrecompiledCharsmap } from "../../src/tokenizers/precompiled_charsmap.js";
import { packRows, unpackRows } from "../../src/tokenizers/token_rows.js";
import { Tokenizer } from "../../src/tokenizers/tokenizer.js";

const MINI = fileURLToPath(new URL("../../assets/models/t5-mini", import.meta.url));
const SPIECE = fileURLToPath(new URL("../fixtures/golden/tokenizers/t5_spiece", import.meta.url));
const STOP = 1;

describe("token rows", () => {
  test("packing and unpacking, empty rows included", () => {
    const rows = [[1, 2, 3], [], [4]].map((row) => Int32Array.from(row));
    const packed = packRows(rows);
    expect(packed).toEqual({ ids: Int32Array.from([1, 2, 3, 4]), lengths: Int32Array.from([3, 0, 1]) });
    expect(unpackRows(packed)).toEqual(rows);
  });

  test("no rows", () => {
    expect(packRows([])).toEqual({ ids: new Int32Array(0), lengths: new Int32Array(0) });
  });
});

describe("the tokenizer of t5-mini", () => {
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    tokenizer = await Tokenizer.load(MINI);
  });

  test("knows every character of the embedded data and gives the texts back", async () => {
    const { splits } = await loadDataset("counterfact");
    const { splits: zsre } = await loadDataset("zsre");
    const records = [...SPLITS.flatMap((split) => splits[split]).slice(0, 1500), ...zsre.test.slice(0, 300)];
    const texts = records.flatMap((record) => [...phrasings(record), ...record.y_loc, ...record.y_e_options]);
    const changed = texts.filter((text) => {
      const ids = tokenizer.encode(text);
      return tokenizer.countUnknown(ids) > 0 || tokenizer.decode(ids) !== text.normalize("NFKC");
    });
    expect(changed).toEqual([]);
  });

  test("holds nearly all of CounterFact's answers whole", async () => {
    const { splits } = await loadDataset("counterfact");
    const answers = new Set(SPLITS.flatMap((split) => splits[split].flatMap(({ y_loc }) => y_loc)));
    const single = [...answers].filter((answer) => !answer.includes(" "));
    const whole = single.filter((answer) => tokenizer.encode(answer).length === 2);
    expect(whole.length / single.length).toBeGreaterThan(0.99);
  });

  test("the separator of an edit text survives", () => {
    const text = "The capital of X is >> Rome";
    expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
  });

  test("empty texts are the stop token alone, and nothing decodes to nothing", () => {
    expect(tokenizer.encode("")).toEqual(Int32Array.from([STOP]));
    expect(tokenizer.decode([])).toBe("");
    expect(tokenizer.decode([STOP])).toBe("");
  });

  test("characters outside the vocabulary are counted and decode to nothing", () => {
    const ids = tokenizer.encode("日本 is");
    expect(tokenizer.countUnknown(ids)).toBe(1);
    expect(tokenizer.decode(ids).trim()).toBe("is");
    expect(tokenizer.decode([999_999, -1, ...tokenizer.encode("is")]).trim()).toBe("is");
  });

  test("a batch is the rows one after the other", () => {
    const texts = ["French", "", "The capital of"];
    const rows = tokenizer.encodeBatch(texts);
    expect(unpackRows(rows)).toEqual(texts.map((text) => tokenizer.encode(text)));
    expect(tokenizer.decodeBatch(rows)).toEqual(texts);
  });

  test("truncation keeps the start or the end, and always the stop token", () => {
    const whole = Array.from(tokenizer.encode("The mother tongue of Danielle Darrieux is"));
    const body = whole.slice(0, -1);
    const text = "The mother tongue of Danielle Darrieux is";
    expect(Array.from(tokenizer.encode(text, { maxTokens: 5 }))).toEqual([...body.slice(0, 4), STOP]);
    expect(Array.from(tokenizer.encode(text, { maxTokens: 5, keep: "end" }))).toEqual([
      ...body.slice(-4),
      STOP,
    ]);
    expect(Array.from(tokenizer.encode(text, { maxTokens: whole.length }))).toEqual(whole);
    expect(Array.from(tokenizer.encode("", { maxTokens: 2, keep: "end" }))).toEqual([STOP]);
  });

  test("no room for a token is CONFIG_INVALID", () => {
    expect(() => tokenizer.encode("a", { maxTokens: 1 })).toThrow(
      expect.objectContaining({ code: "CONFIG_INVALID" }),
    );
  });

  test("cached texts cannot be changed through what was handed out", () => {
    const first = tokenizer.encode("French");
    first.fill(0);
    expect(tokenizer.encode("French")).not.toEqual(first);
  });

  test("so many texts are kept as asked for, the latest", async () => {
    const read = vi.spyOn(HubTokenizerClass.prototype, "encode");
    try {
      const two = await Tokenizer.load(MINI, { cachedTexts: 2 });
      const readsOf = (text: string): number => {
        const before = read.mock.calls.length;
        expect(two.encode(text)).toEqual(tokenizer.encode(text));
        return read.mock.calls.length - before;
      };
      for (const text of ["one", "two", "three"]) tokenizer.encode(text);
      expect(["one", "two", "one", "three", "two", "one"].map(readsOf)).toEqual([1, 1, 0, 1, 0, 1]);
    } finally {
      read.mockRestore();
    }
  });

  test("must fit the model's vocabulary", () => {
    expect(() => tokenizer.assertFits(tokenizer.vocabularySize)).not.toThrow();
    expect(() => tokenizer.assertFits(tokenizer.vocabularySize - 1)).toThrow(
      expect.objectContaining({ code: "CHECKPOINT_INVALID" }),
    );
  });
});

describe("precompiled character maps", () => {
  let map: PrecompiledCharsmap;
  beforeAll(async () => {
    const { normalizer } = JSON.parse(await readFile(join(SPIECE, "tokenizer.json"), "utf8"));
    map = new PrecompiledCharsmap(normalizer.precompiled_charsmap);
  });

  test.each([
    ["plain text, 123!", "plain text, 123!"],
    ["ﬁne ½ ①", "fine 1⁄2 1"],
    ["tab\tand\u00a0blank", "tab and blank"],
    ["zero\u200dwidth", "zero\u200dwidth"],
    ["𝒜bc", "Abc"],
    ["", ""],
  ])("%j → %j", (text, normal) => expect(map.normalize(text)).toBe(normal));

  test("a cut-off map is refused", () => {
    expect(() => new PrecompiledCharsmap("")).toThrow(RangeError);
    expect(() => new PrecompiledCharsmap(Buffer.from([255, 0, 0, 0, 1]).toString("base64"))).toThrow(
      RangeError,
    );
  });
});

describe("bad tokenizer files", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "seprog-tokenizer-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  const mini = async () => JSON.parse(await readFile(join(MINI, "tokenizer.json"), "utf8"));

  test("a missing one", async () => {
    await expect(Tokenizer.load(join(folder, "nowhere"))).rejects.toMatchObject({
      code: "CHECKPOINT_INVALID",
    });
    await expect(Tokenizer.load(join(folder, "nowhere"))).rejects.toThrow(/expected a tokenizer at .*ENOENT/);
  });

  test.each([
    ["a cut-off one", '{"version": "1.0"', "CHECKPOINT_INVALID"],
    ["no object", "[]", "CHECKPOINT_INVALID"],
    ["null", "null", "CHECKPOINT_INVALID"],
    ["no model", "{}", "CHECKPOINT_INVALID"],
  ])("%s", async (_, content, code) => {
    await writeFile(join(folder, "tokenizer.json"), content);
    await expect(Tokenizer.load(folder)).rejects.toMatchObject({ name: "SeprogError", code });
  });

  test("parts that are unknown are UNSUPPORTED", async () => {
    const definition = { ...(await mini()), normalizer: { type: "Rot13" } };
    expect(() => new Tokenizer(definition)).toThrow(expect.objectContaining({ code: "UNSUPPORTED" }));
  });

  test("a cut-off character map is CHECKPOINT_INVALID", async () => {
    const normalizer = { type: "Sequence", normalizers: [{ type: "Precompiled", precompiled_charsmap: "" }] };
    const definition = { ...(await mini()), normalizer };
    expect(() => new Tokenizer(definition)).toThrow(expect.objectContaining({ code: "CHECKPOINT_INVALID" }));
  });
});
