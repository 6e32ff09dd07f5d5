import { beforeAll, describe, expect, test } from "vitest";
import { assetPath } from "../../src/config/paths.js";
import { askAll } from "../../src/evaluation/answers.js";
import { BatchBudget } from "../../src/evaluation/batch_budget.js";
import type { Scorer } from "../../src/evaluation/scorers.js";
import type { AnswerKind } from "../../src/tokenizers/answer_form.js";
import { EditCodec } from "../../src/tokenizers/edit_codec.js";
import { DEFAULT_TEXT_LIMITS, type TextLimits } from "../../src/tokenizers/text_limits.js";
import { packTypedRows } from "../../src/tokenizers/token_rows.js";
import { Tokenizer } from "../../src/tokenizers/tokenizer.js";
import { predictBase } from "../../src/training/base_predictions.js";
import { measureRecall } from "../../src/training/recall.js";
import { makeRecord } from "../support/records.js";
import { tokenizerFixture } from "../support/tokenizer_files.js";

const [START, STOP] = [0, 2];
const [CLS, SEP] = [2, 3];

let t5: Tokenizer;
let bart: Tokenizer;
let bert: Tokenizer;
let gpt2: Tokenizer;
beforeAll(async () => {
  [t5, bart, bert, gpt2] = await Promise.all([
    Tokenizer.load(assetPath("models", "t5-mini")),
    Tokenizer.load(tokenizerFixture("bart_bpe")),
    Tokenizer.load(tokenizerFixture("bert_wordpiece_uncased")),
    Tokenizer.load(tokenizerFixture("gpt2_bpe")),
  ]);
});

const limits = (changed: Partial<TextLimits>): TextLimits => ({ ...DEFAULT_TEXT_LIMITS, ...changed });

function codecOf(
  tokenizer: Tokenizer,
  answers: AnswerKind,
  { edit, classes, ...changed }: Partial<TextLimits> & { edit?: Tokenizer; classes?: number } = {},
): EditCodec {
  const targetVocabulary = answers === "label" ? (classes ?? 2) : tokenizer.vocabularySize;
  return new EditCodec(
    tokenizer,
    { answers, targetVocabulary },
    limits(changed),
    edit && { tokenizer: edit },
  );
}

const bodyOf = (tokenizer: Tokenizer, text: string): number[] =>
  Array.from(tokenizer.encode(text, { specialTokens: "none" }));
const list = (ids: Int32Array): number[] => Array.from(ids);

describe("special tokens", () => {
  test("each family's own, around a text", () => {
    expect([t5.prefix, t5.suffix]).toEqual([[], [1]]);
    expect([bart.prefix, bart.suffix]).toEqual([[START], [STOP]]);
    expect([bert.prefix, bert.suffix]).toEqual([[CLS], [SEP]]);
    expect([gpt2.prefix, gpt2.suffix]).toEqual([[], []]);
  });

  test("only BERT's has a form for pairs", () => {
    expect([t5, bart, gpt2, bert].map(({ takesPairs }) => takesPairs)).toEqual([false, false, false, true]);
    expect(() => t5.encodePair("a", "b")).toThrow(expect.objectContaining({ code: "UNSUPPORTED" }));
  });

  test("all, those after the text, or none", () => {
    const body = bodyOf(bart, "the end");
    expect(list(bart.encode("the end"))).toEqual([START, ...body, STOP]);
    expect(list(bart.encode("the end", { specialTokens: "after" }))).toEqual([...body, STOP]);
    expect(list(bart.encode("the end", { specialTokens: "after", maxTokens: 2 }))).toEqual([body[0], STOP]);
    expect(list(bart.encode("the end", { specialTokens: "none", maxTokens: 1 }))).toEqual([body[0]]);
  });
});

describe("pairs", () => {
  const [A, B] = ["who wrote the song", "a man"];

  test("are cut as one text", () => {
    const [a, b] = [bodyOf(bert, A), bodyOf(bert, B)];
    const row = (maxTokens: number, keep: "start" | "end") => {
      const { ids, types } = bert.encodePair(A, B, { maxTokens, keep });
      expect(types).toHaveLength(ids.length);
      return { ids: list(ids), second: types.indexOf(1) };
    };
    const full = 3 + a.length + b.length;
    const whole = { ids: [CLS, ...a, SEP, ...b, SEP], second: a.length + 2 };
    expect(row(full, "end")).toEqual(whole);
    expect(row(full - 1, "end")).toEqual({ ids: [CLS, ...a.slice(1), SEP, ...b, SEP], second: a.length + 1 });
    expect(row(3 + b.length - 1, "end")).toEqual({ ids: [CLS, SEP, ...b.slice(1), SEP], second: 2 });
    expect(row(full - 1, "start").ids).toEqual([CLS, ...a, SEP, ...b.slice(0, -1), SEP]);
    expect(row(4, "start").ids).toEqual([CLS, a[0], SEP, SEP]);
    expect(() => bert.encodePair(A, B, { maxTokens: 3 })).toThrow(
      expect.objectContaining({ code: "CONFIG_INVALID" }),
    );
  });

  test("an empty second text keeps its separator", () => {
    const { ids, types } = bert.encodePair("a", "");
    expect(list(ids)).toEqual([CLS, ...bodyOf(bert, "a"), SEP, SEP]);
    expect(list(types)).toEqual([0, 0, 0, 1]);
  });

  test("rows with and without types lie in one batch", () => {
    const pair = { ids: Int32Array.of(2, 7, 3), types: Int32Array.of(0, 0, 1) };
    const plain = { ids: Int32Array.of(5, 6) };
    const ids = Int32Array.of(2, 7, 3, 5, 6);
    const lengths = Int32Array.of(3, 2);
    expect(packTypedRows([pair, plain])).toEqual({ ids, lengths, types: Int32Array.of(0, 0, 1, 0, 0) });
    expect(packTypedRows([plain])).toEqual({ ids: plain.ids, lengths: Int32Array.of(2) });
  });
});

describe("answers that are text", () => {
  test("BART's target has no start token, its source has", () => {
    const codec = codecOf(bart, "text");
    const body = bodyOf(bart, "the end");
    expect(list(codec.source("the end"))).toEqual([START, ...body, STOP]);
    expect(list(codec.target("the end"))).toEqual([...body, STOP]);
    expect(codec.answer([...body, STOP])).toBe("the end");
    expect(codec.generation).toEqual({ stopAtEnd: true });
  });

  test("T5's target is its whole row; both are cut before the stop token", () => {
    const codec = codecOf(t5, "text", { maxSourceTokens: 3, maxTargetTokens: 2 });
    expect(list(codec.source("The capital of Italy"))).toEqual([
      ...bodyOf(t5, "The capital of Italy").slice(0, 2),
      1,
    ]);
    expect(list(codec.target("The capital"))).toEqual([bodyOf(t5, "The capital")[0], 1]);
    expect(list(codecOf(t5, "text").target("Rome"))).toEqual(list(t5.encode("Rome")));
  });
});

describe("answers that go on from the source", () => {
  test("neither side has special tokens; the end of the source is kept", () => {
    const codec = codecOf(gpt2, "continuation", { maxSourceTokens: 3 });
    const body = bodyOf(gpt2, "it was the first of them");
    expect(list(codec.source("it was the first of them"))).toEqual(body.slice(-3));
    expect(list(codec.target(" and the"))).toEqual(bodyOf(gpt2, " and the"));
    expect(codec.answer(bodyOf(gpt2, " and the"))).toBe(" and the");
    expect(codec.generation).toEqual({ stopAtEnd: false });
  });

  test("BART's tokenizer would serve too, without its special tokens", () => {
    expect(list(codecOf(bart, "continuation").source("the end"))).toEqual(bodyOf(bart, "the end"));
  });

  test("answers of a fixed length", () => {
    const codec = codecOf(gpt2, "continuation", { answerTokens: 2, maxTargetTokens: 1 });
    expect(codec.generation).toEqual({ maxNewTokens: 2, stopAtEnd: false });
    expect(list(codec.target(" and the first"))).toEqual(bodyOf(gpt2, " and the"));
    expect(() => codec.target(" and")).toThrow(
      expect.objectContaining({
        code: "DATA_INVALID",
        message: expect.stringMatching(/2 tokens \(`text\.answerTokens`\).*1: " and"/),
      }),
    );
  });

  test("nothing to go on from is DATA_INVALID", () => {
    const codec = codecOf(gpt2, "continuation");
    expect(() => codec.source("")).toThrow(expect.objectContaining({ code: "DATA_INVALID" }));
    expect(() => codec.target("")).toThrow(expect.objectContaining({ code: "DATA_INVALID" }));
  });
});

describe("answers that are labels", () => {
  test("False and True are classes 0 and 1, however they are written", () => {
    const codec = codecOf(bert, "label");
    expect(["False", "True", "false", " TRUE "].map((y) => list(codec.target(y)))).toEqual([
      [0],
      [1],
      [0],
      [1],
    ]);
    expect([codec.answer([0]), codec.answer([1]), codec.answer([])]).toEqual(["False", "True", ""]);
    expect(codec.generation).toEqual({ maxNewTokens: 1, stopAtEnd: false });
    expect(list(codec.source("a man"))).toEqual([CLS, ...bodyOf(bert, "a man"), SEP]);
  });

  test("another text is DATA_INVALID and named", () => {
    expect(() => codecOf(bert, "label").target("maybe")).toThrow(
      expect.objectContaining({
        code: "DATA_INVALID",
        message: expect.stringMatching(/False, True .*"maybe"/),
      }),
    );
  });

  test("more than two classes are their numbers", () => {
    const codec = codecOf(bert, "label", { classes: 3 });
    expect(list(codec.target("2"))).toEqual([2]);
    expect(codec.answer([2])).toBe("2");
    expect(() => codec.target("True")).toThrow(expect.objectContaining({ code: "DATA_INVALID" }));
  });
});

describe("whoever asks a model has it generate as it answers", () => {
  const options = { batchSize: 4, maxNewTokens: 32 };

  /** Answers every row with class 1 and notes how it was asked. */
  function recorder() {
    const asked: object[] = [];
    const model: Scorer = {
      generate: async ({ lengths }, how = {}) => {
        asked.push(how);
        return { tokens: { ids: lengths.map(() => 1), lengths: lengths.map(() => 1) } };
      },
      score: async ({ target }) => ({
        logProb: new Float32Array(target.ids.length),
        argmax: target.ids,
        rowLoss: new Float32Array(target.lengths.length),
      }),
      answer: async (batch, how) => ({
        ...(await model.score(batch)),
        ...(await model.generate(batch.source, how)),
      }),
    };
    return { asked, model };
  }

  test("evaluation, base predictions and recall", async () => {
    const codec = codecOf(bert, "label");
    const { asked, model } = recorder();
    const row = { source: codec.source("a man"), target: codec.target("False"), goldEdit: -1 };
    const budget = new BatchBudget({ mostRows: 4 });
    const { answers } = await askAll(model, [row], codec, { ...options, budget });
    expect(answers.map(({ text }) => text)).toEqual(["True"]);
    const recall = await measureRecall(model, [{ wordings: ["a man"], answers: ["true"] }], codec, options);
    expect(recall.wordingsRight).toBe(1);
    await predictBase(model, [makeRecord("1")], codec, options);
    expect(asked).toEqual(Array(3).fill({ maxNewTokens: 1, stopAtEnd: false }));
  });
});

describe("edit texts", () => {
  const edit = { x_e: "who wrote the song", y_e: "a man" };

  test("BERT's encoder reads a pair; the answer stays whole", () => {
    const codec = codecOf(bert, "label", { maxEditTokens: 8 });
    const { ids, types } = codec.editText(edit);
    const [x, y] = [bodyOf(bert, edit.x_e), bodyOf(bert, edit.y_e)];
    const kept = x.slice(x.length - (8 - 3 - y.length));
    expect(list(ids)).toEqual([CLS, ...kept, SEP, ...y, SEP]);
    expect(list(types ?? new Int32Array())).toEqual([
      ...Array(kept.length + 2).fill(0),
      ...Array(y.length + 1).fill(1),
    ]);
    const rows = codec.editTexts([edit, { x_e: "", y_e: "a" }]);
    expect(rows.types).toHaveLength(rows.ids.length);
  });

  test("others read one text, the end of which is kept", () => {
    const text = `${edit.x_e} >> ${edit.y_e}`;
    const { ids, types } = codecOf(bart, "text", { maxEditTokens: 6 }).editText(edit);
    expect(types).toBeUndefined();
    expect(list(ids)).toEqual([START, ...bodyOf(bart, text).slice(-4), STOP]);
    expect(codecOf(t5, "text").editTexts([edit]).types).toBeUndefined();
  });

  test("the edit encoder's tokenizer decides, not the base's", () => {
    const gpt2WithT5 = codecOf(gpt2, "continuation", { edit: t5 });
    expect(list(gpt2WithT5.editText(edit).ids)).toEqual(list(t5.encode(`${edit.x_e} >> ${edit.y_e}`)));
    expect(list(gpt2WithT5.source("it was"))).toEqual(bodyOf(gpt2, "it was"));
    const t5WithBert = codecOf(t5, "text", { edit: bert });
    expect(list(t5WithBert.editText(edit).ids)).toEqual(list(bert.encodePair(edit.x_e, edit.y_e).ids));
  });
});
