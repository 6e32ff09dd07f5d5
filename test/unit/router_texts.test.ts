import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { assetPath } from "../../src/config/paths.js";
import { serac } from "../../src/editors/serac.js";
import { loadEdits, saveEdits } from "../../src/library/edit_file.js";
import type { AnswerKind } from "../../src/tokenizers/answer_form.js";
import { EditCodec } from "../../src/tokenizers/edit_codec.js";
import { SEPARATED_WORDS } from "../../src/tokenizers/router_texts.js";
import { DEFAULT_TEXT_LIMITS } from "../../src/tokenizers/text_limits.js";
import { Tokenizer } from "../../src/tokenizers/tokenizer.js";

const EDIT = { x_e: "The mother tongue of Jean is", y_e: "French" };
const ASKED = "Where was Ann\u2019s 2nd book written?";

let bert: Tokenizer;
beforeAll(async () => {
  bert = await Tokenizer.load(assetPath("models", "bert-mini"));
});

async function codecOf(model: string, answers: AnswerKind) {
  const own = await Tokenizer.load(assetPath("models", model));
  const codec = new EditCodec(
    own,
    { answers, targetVocabulary: own.vocabularySize },
    { ...DEFAULT_TEXT_LIMITS, maxSourceTokens: 40, maxEditTokens: 40 },
    { tokenizer: bert, form: SEPARATED_WORDS, counterfactual: own },
  );
  return { own, codec };
}

describe("what the counterfactual model reads", () => {
  test.each([
    ["t5-mini", "text"],
    ["bart-mini", "text"],
    ["bert-mini", "label"],
  ] as const)("%s: prefix and input are the ids of the whole text", async (model, answers) => {
    const { own, codec } = await codecOf(model, answers);
    const prefix = codec.editPrefixes([EDIT]).editPrefix?.ids ?? [];
    const view = codec.view(ASKED)?.counterfactual ?? [];
    const whole = own.encode(`${EDIT.x_e} ${EDIT.y_e} ${ASKED}`);
    expect([...prefix, ...view]).toEqual(Array.from(whole));
  });

  test("a text that goes on stands by itself behind the end of text, which the engine puts in", async () => {
    const { own, codec } = await codecOf("gpt2-mini", "continuation");
    const plain = { specialTokens: "none" } as const;
    expect(codec.editPrefixes([EDIT]).editPrefix?.ids).toEqual(own.encode(`${EDIT.x_e} ${EDIT.y_e}`, plain));
    expect(codec.view(ASKED)?.counterfactual).toEqual(codec.source(ASKED));
  });

  test("of an edit that is too long the end stays, behind the tokens that begin a text", async () => {
    const { own, codec } = await codecOf("bert-mini", "label");
    const long = { x_e: "one two three four five six ".repeat(20), y_e: "True" };
    const ids = Array.from(codec.editPrefixes([long]).editPrefix?.ids ?? []);
    expect(ids).toHaveLength(41);
    expect(ids[0]).toBe(own.prefix[0]);
    expect(ids.at(-1)).toBe(own.encode("True", { specialTokens: "none" }).at(-1));
  });
});

describe("what the classifier reads", () => {
  const ids = (text: string): number[] => Array.from(bert.encode(text, { specialTokens: "none" }));

  test("an edit with a separator behind question and answer each", async () => {
    const { codec } = await codecOf("t5-mini", "text");
    const [start, end] = [bert.prefix[0], bert.suffix[0]];
    expect(Array.from(codec.editText(EDIT).ids)).toEqual([
      start,
      ...ids(EDIT.x_e),
      end,
      ...ids(EDIT.y_e),
      end,
      end,
    ]);
    expect(Array.from(codec.view(ASKED)?.classifier ?? [])).toEqual([start, ...ids(ASKED), end]);
  });

  test("the end alone of a text that goes on", async () => {
    const { codec } = await codecOf("gpt2-mini", "continuation");
    const words = "one two three four five six ".repeat(20).trim();
    const edit = Array.from(codec.editText({ x_e: words, y_e: EDIT.y_e }).ids);
    expect(edit).toEqual([bert.prefix[0], ...ids(words).slice(-38), bert.suffix[0]]);
    expect(Array.from(codec.view(words)?.classifier ?? [])).toEqual(edit);
  });
});

test("editors without a counterfactual model give neither prefixes nor views", () => {
  const codec = new EditCodec(bert, { answers: "label", targetVocabulary: 2 });
  expect(codec.editPrefixes([EDIT])).toEqual({});
  expect(codec.view(ASKED)).toBeUndefined();
  expect(codec.views([ASKED])).toEqual({});
});

describe("options", () => {
  const spec = (more: object) => serac.spec.parse({ kind: "serac", ...more });

  test("what only changes the use shares the trained weights", () => {
    const used = spec({ threshold: 0.7, softWeighting: true });
    expect(serac.trainingSpec(used)).toEqual(spec({}));
    expect(serac.useOf(used)).toMatchObject({ variant: "softgate", leavesGatedOffAlone: false });
    expect(serac.useOf(spec({ scopeClassifier: "cross_attention" })).variant).toBe("crossattention");
  });

  test("unknown and impossible ones are refused", () => {
    for (const more of [{ threshold: 1 }, { cEdit: -1 }, { microBatch: 0 }, { classifer: {} }])
      expect(serac.spec.safeParse({ kind: "serac", ...more }).success).toBe(false);
  });
});

describe("edits as JSON Lines", () => {
  test("come back as they were", async () => {
    const folder = await mkdtemp(join(tmpdir(), "seprog-edits-"));
    const file = join(folder, "edits.jsonl");
    const edits = [
      { question: 'a\nb "c"', answer: "\u00e9\u2028" },
      { question: "", answer: "" },
    ];
    await saveEdits(file, edits);
    expect((await readFile(file, "utf8")).split("\n")).toHaveLength(3);
    expect(await loadEdits(file)).toEqual(edits);
    await writeFile(file, '{"question": "a"}\n{"question": "b", "answer": "c"}\n');
    await expect(loadEdits(file)).rejects.toMatchObject({ code: "DATA_INVALID" });
    await rm(folder, { recursive: true });
  });
});
