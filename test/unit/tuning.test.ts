// An option chosen for a data set and K by what it does on the validation split.
import { beforeAll, describe, expect, it } from "vitest";
import { suiteCells } from "../../src/bench/grid.js";
import { ContentHashes, cellHash } from "../../src/bench/identity.js";
import { tuneOption } from "../../src/bench/tune_run.js";
import { evaluationSchema } from "../../src/config/evaluation.js";
import { assetPath } from "../../src/config/paths.js";
import type { EditRecord } from "../../src/data/types.js";
import { SeprogError } from "../../src/errors.js";
import type { EditedScorer, Subject } from "../../src/evaluation/scorers.js";
import { editRequests } from "../../src/evaluation/scorers.js";
import type { PairRows, TokenRows } from "../../src/native/addon.js";
import { EditCodec } from "../../src/tokenizers/edit_codec.js";
import { packRows, unpackRows } from "../../src/tokenizers/token_rows.js";
import { Tokenizer } from "../../src/tokenizers/tokenizer.js";
import { suiteOf } from "../support/suite_of.js";

let codec: EditCodec;
beforeAll(async () => {
  const tokenizer = await Tokenizer.load(assetPath("models", "t5-mini"));
  codec = new EditCodec(tokenizer, { answers: "text", targetVocabulary: tokenizer.vocabularySize });
});

const suiteWith = (method: object, more: object = {}) =>
  suiteOf({
    name: "tuned",
    model: "t5-mini",
    datasets: ["counterfact"],
    k: [2],
    methods: { seprog: { editor: { kind: "seprog" } }, tuned: { like: "seprog", ...method }, ...more },
  });

/** Fine-tuning at edit time starts from SEPROG's trained editor: its rate may be tuned. */
const method = (values: readonly number[]) => ({
  editor: { variant: "finetune", finetune: "edit_time" },
  tune: { path: "finetuneLearningRate", values, edits: 6 },
});

const tuneOf = (suite: ReturnType<typeof suiteWith>, name = "tuned") =>
  suite.datasets[0]?.methods[name]?.tune ?? null;

describe("a tuned option", () => {
  it("has a candidate for each value, with all other options of the method", () => {
    const tune = tuneOf(suiteWith(method([1e-3, 1e-5])));
    expect(tune).toMatchObject({ option: "editor.finetuneLearningRate", edits: 6 });
    expect(tune?.candidates.map(({ value }) => value)).toEqual([1e-3, 1e-5]);
    expect(tune?.candidates.map(({ editor }) => editor)).toMatchObject([
      { variant: "finetune", finetuneLearningRate: 1e-3 },
      { variant: "finetune", finetuneLearningRate: 1e-5 },
    ]);
    expect(tuneOf(suiteWith(method([1e-3])), "seprog")).toBeNull();
  });

  it("is inherited with the method", () => {
    const suite = suiteWith(method([1e-3]), { child: { like: "tuned", editor: { finetuneSteps: 7 } } });
    expect(tuneOf(suite, "child")?.candidates).toMatchObject([{ editor: { finetuneSteps: 7 } }]);
  });

  it("belongs to what a cell is known by", async () => {
    const hash = async (suite: ReturnType<typeof suiteWith>): Promise<string> => {
      const cell = suiteCells(suite).find(({ editor }) => editor.methodName === "tuned");
      if (cell === undefined) throw new Error("no cell");
      return cellHash(cell, "editor", new ContentHashes());
    };
    const plain = await hash(suiteWith({ editor: method([]).editor }));
    const tuned = await hash(suiteWith(method([1e-3])));
    expect(new Set([plain, tuned, await hash(suiteWith(method([1e-3, 1e-4])))]).size).toBe(3);
  });

  it.each([
    [{ path: "finetuneLearningRate", values: [-1] }, /at least 0 for `methods.tuned.tune.values.0`/],
    [{ path: "finetuneLearningRat", values: [1] }, /did you mean "finetuneLearningRate"/],
    [{ path: "promptLength", values: [4] }, /only edits depend on for `methods.tuned.tune.path`/],
    [{ path: "finetuneLearningRate", values: [] }, /at least one item/],
  ])("is refused with its place: %j", (tune, message) => {
    expect(() => suiteWith({ ...method([]), tune })).toThrow(message);
  });
});

const record = (id: number): EditRecord => ({
  id: `r${id}`,
  group: `g${id}`,
  x_e: `Where is place ${id}`,
  y_e_options: ["London"],
  in_scope: [],
  in_scope_noisy: [],
  entailed: [],
  hard_out: [],
  x_loc: `Where is place ${id}`,
  y_loc: ["Rome"],
  base_pred: "Rome",
});

class Constant implements EditedScorer {
  readonly #answerOf: (question: string) => string;

  constructor(answerOf: (question: string) => string) {
    this.#answerOf = answerOf;
  }

  async generate(source: TokenRows) {
    return {
      tokens: packRows(
        unpackRows(source).map((row) => codec.target(this.#answerOf(codec.answer(row).trim()))),
      ),
    };
  }

  async score({ target }: PairRows) {
    return {
      logProb: new Float32Array(target.ids.length),
      argmax: target.ids,
      rowLoss: new Float32Array(target.lengths.length),
    };
  }

  async answer(batch: PairRows) {
    return { ...(await this.score(batch)), ...(await this.generate(batch.source)) };
  }

  async compare(_other: EditedScorer, { target }: PairRows) {
    return { kl: new Float32Array(target.ids.length) };
  }

  async dispose(): Promise<void> {}
}

/** 1e-5 changes nothing, 1e-4 what it should, 1e-3 everything, 1 is no number any more. */
function subjectAt(rate: number): Subject<Constant> {
  return {
    base: new Constant(() => "Rome"),
    needsGoldEdits: false,
    leavesGatedOffAlone: false,
    async apply({ labels }) {
      if (rate === 1) throw new SeprogError("NON_FINITE", "a weight is not finite");
      const edited = labels.map((label) => label.split(" >> ")[0]?.trim());
      const isMeant = (question: string) => rate === 1e-3 || (rate === 1e-4 && edited.includes(question));
      return { model: new Constant((question) => (isMeant(question) ? "London" : "Rome")), figures: {} };
    },
  };
}

async function tuned(values: readonly number[], records: number, K = 2) {
  const tune = tuneOf(suiteWith(method(values)));
  if (tune === null) throw new Error("no tuning");
  return tuneOption<Constant>({
    tune,
    records: Array.from({ length: records }, (_, i) => record(i)),
    K,
    evaluation: evaluationSchema.parse({}),
    codec,
    withSubject: (editor, work) =>
      work(subjectAt("finetuneLearningRate" in editor ? editor.finetuneLearningRate : 0)),
    requestsOf: (edits) => editRequests(edits, codec),
  });
}

describe("tuning", () => {
  it("chooses the largest ES − DD and tells what it tried", async () => {
    const { editor, tuning } = await tuned([1e-5, 1e-4, 1e-3, 1], 12);
    expect(editor).toMatchObject({ variant: "finetune", finetuneLearningRate: 1e-4 });
    expect(tuning).toEqual({
      option: "editor.finetuneLearningRate",
      value: 1e-4,
      edits: 6,
      K: 2,
      tried: [
        { value: 1e-5, ES: 0, DD: 0 },
        { value: 1e-4, ES: 1, DD: 0 },
        { value: 1e-3, ES: 1, DD: 1 },
        { value: 1, ES: null, DD: null },
      ],
    });
  });

  it("takes the first of equal ones", async () => {
    expect((await tuned([1e-3, 1e-5], 12)).tuning.value).toBe(1e-3);
  });

  it("makes do with a validation split of fewer records than K", async () => {
    expect((await tuned([1e-4], 5, 64)).tuning).toMatchObject({ K: 4, edits: 4 });
  });

  it("says so when there is nothing to tune on, or no value works", async () => {
    await expect(tuned([1e-4], 1)).rejects.toMatchObject({ code: "DATA_INVALID" });
    await expect(tuned([1], 12)).rejects.toMatchObject({
      code: "NON_FINITE",
      message: expect.stringContaining("give smaller ones"),
    });
  });
});
