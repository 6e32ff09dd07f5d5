import { beforeAll, describe, expect, test } from "vitest";
import { assetPath } from "../../src/config/paths.js";
import { slag } from "../../src/editors/slag.js";
import type { AnswerKind } from "../../src/tokenizers/answer_form.js";
import { CONDITION_TEXT } from "../../src/tokenizers/condition_text.js";
import { EditCodec } from "../../src/tokenizers/edit_codec.js";
import { DEFAULT_TEXT_LIMITS } from "../../src/tokenizers/text_limits.js";
import { Tokenizer } from "../../src/tokenizers/tokenizer.js";

const EDIT = { x_e: "The mother tongue of Jean is", y_e: "French", prediction: " Dutch" };

describe("what a learned optimiser reads of an edit", () => {
  let t5: Tokenizer;
  let codec: EditCodec;
  beforeAll(async () => {
    t5 = await Tokenizer.load(assetPath("models", "t5-mini"));
    const model = { answers: "text" as AnswerKind, targetVocabulary: t5.vocabularySize };
    codec = new EditCodec(t5, model, { ...DEFAULT_TEXT_LIMITS, maxEditTokens: 20 }, { form: CONDITION_TEXT });
  });

  test("prediction, answer and question, in that order and in the base's own tokens", () => {
    expect(codec.needsPrediction).toBe(true);
    expect(codec.editText(EDIT).ids).toEqual(t5.encode("Dutch >> French || The mother tongue of Jean is"));
  });

  test("an edit without a prediction is refused where one is needed", () => {
    expect(() => codec.editText({ x_e: EDIT.x_e, y_e: EDIT.y_e })).toThrow("answer for the text of an edit");
  });

  test("what is too long loses the end of the question", () => {
    const long = codec.editText({ ...EDIT, x_e: "one two three ".repeat(40) }).ids;
    expect(long.length).toBeLessThanOrEqual(20);
    expect([...long].slice(0, 3)).toEqual([...codec.editText(EDIT).ids].slice(0, 3));
  });

  test("of a text that the answer continues the last words stay", () => {
    const words = Array.from({ length: 80 }, (_, i) => `w${i}`);
    const written = CONDITION_TEXT.write({ ...EDIT, x_e: words.join(" ") }, "", "continuation");
    expect(written).toBe(`Dutch >> French || ${words.slice(-64).join(" ")}`);
    expect(CONDITION_TEXT.write({ ...EDIT, x_e: words.join(" ") }, "", "text")).toContain("|| w0 ");
  });
});

test("SLAG starts from its authors' options", () => {
  const spec = slag.spec.parse({ kind: "slag" });
  expect(spec).toMatchObject({ innerSteps: 5, sequentialTrain: 10, otherRows: 15, clipNorm: 1, maxScale: 1 });
  expect(slag.trainingDefaults).toMatchObject({ learningRate: 3e-4, schedule: "linear", endFactor: 0 });
  expect(slag.editText(spec)).toEqual({ reader: { source: "base" }, form: CONDITION_TEXT });
  expect(slag.spec.safeParse({ kind: "slag", mainWeight: 0 }).success).toBe(false);
});
