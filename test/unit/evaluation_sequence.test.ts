// Edits one after the other: what is asked when, how an edit holds, and that one model lives at a time.
import { beforeAll, describe, expect, it } from "vitest";
import { evaluationSchema, type SequentialConfig, scheduleName } from "../../src/config/evaluation.js";
import { assetPath } from "../../src/config/paths.js";
import type { EditRecord, Episode } from "../../src/data/types.js";
import { BaseAnswers } from "../../src/evaluation/base_answers.js";
import { BatchBudget } from "../../src/evaluation/batch_budget.js";
import { evaluateCell } from "../../src/evaluation/cell.js";
import { evaluate } from "../../src/evaluation/evaluate.js";
import { cellResultSchema, editRecordSchema } from "../../src/evaluation/records.js";
import type { EditedScorer, Subject } from "../../src/evaluation/scorers.js";
import { askedAfter, sequenceSteps } from "../../src/evaluation/sequence.js";
import type { PairRows, TokenRows } from "../../src/native/addon.js";
import { EditCodec } from "../../src/tokenizers/edit_codec.js";
import { packRows, unpackRows } from "../../src/tokenizers/token_rows.js";
import { Tokenizer } from "../../src/tokenizers/tokenizer.js";
import { RECEIPT_BASIS } from "../support/receipts.js";

let codec: EditCodec;
beforeAll(async () => {
  const tokenizer = await Tokenizer.load(assetPath("models", "t5-mini"));
  codec = new EditCodec(tokenizer, { answers: "text", targetVocabulary: tokenizer.vocabularySize });
});

const PLACES = ["alpha", "beta", "gamma", "delta", "omega"];
/** How many edits the model below holds: older ones are forgotten. */
const HELD = 2;
const options = { budget: new BatchBudget({ mostRows: 4 }), maxNewTokens: 8 };
const total = {
  name: "total",
  wallNs: 1e6,
  deviceNs: null,
  baselineBytes: 0,
  peakBytes: 10,
  peakReservedBytes: 0,
  calls: 1,
  selfWallNs: 0,
  selfDeviceNs: null,
  flops: null,
  rolesAtPeak: null,
};
const measurement = { total, queuedNs: 0, phases: [] };

/** Says "London" to questions about the places it holds, else "Rome". */
class ForgetfulModel implements EditedScorer {
  readonly places: readonly string[];
  disposed = false;

  constructor(places: readonly string[]) {
    this.places = places;
  }

  #answer(source: Int32Array): Int32Array {
    const question = codec.answer(source);
    return codec.target(this.places.some((place) => question.includes(place)) ? "London" : "Rome");
  }

  async generate(source: TokenRows) {
    return { tokens: packRows(unpackRows(source).map((row) => this.#answer(row))), measurement };
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

  async dispose(): Promise<void> {
    this.disposed = true;
  }
}

function forgetful(): Subject<ForgetfulModel> & { made: ForgetfulModel[]; mostAlive: () => number } {
  const made: ForgetfulModel[] = [];
  let most = 0;
  return {
    base: new ForgetfulModel([]),
    needsGoldEdits: false,
    leavesGatedOffAlone: false,
    made,
    mostAlive: () => most,
    async apply({ labels }, { onto } = {}) {
      expect(onto?.disposed ?? false).toBe(false);
      const places = labels.map((label) => PLACES.find((place) => label.includes(place)) ?? "");
      const model = new ForgetfulModel([...(onto?.places ?? []), ...places].slice(-HELD));
      made.push(model);
      most = Math.max(most, made.filter(({ disposed }) => !disposed).length);
      return { model, figures: { steps: made.length }, measurement };
    },
  };
}

const recordOf = (id: string): EditRecord => ({
  id,
  group: id,
  x_e: `Where is ${id}`,
  y_e_options: ["London"],
  in_scope: [],
  in_scope_noisy: [],
  entailed: [],
  hard_out: [],
  x_loc: `Where is ${id}`,
  y_loc: ["Rome"],
});

const episode: Episode = {
  edits: PLACES.map((place) => ({ record: recordOf(place), x_e: `Where is ${place}`, y_e: "London" })),
  inScope: PLACES.map((place, editIndex) => ({
    x: `${place} is in`,
    y: "London",
    editIndex,
    kind: "rephrase" as const,
  })),
  // Changed as long as the third edit is held: at the end it is not.
  outScope: [{ x: "gamma lies in", y_gold: ["Rome"], kind: "random" }],
};

const config = (sequential: object): SequentialConfig => {
  const parsed = evaluationSchema.parse({ sequential }).sequential;
  if (parsed === undefined) throw new Error("no schedule");
  return parsed;
};

async function run(sequential: object) {
  const subject = forgetful();
  const baseAnswers = new BaseAnswers(subject.base, codec, options);
  const lines = [];
  for await (const one of evaluate(
    { subject, episodes: [episode], codec, baseAnswers, sequential: config(sequential) },
    options,
  ))
    lines.push(...one.lines);
  return { lines, subject };
}

describe("a schedule", () => {
  it("makes so many edits a step and asks when it says", () => {
    expect(sequenceSteps(5, config({ schedule: "final", editsPerStep: 2 }))).toEqual([[0, 1], [2, 3], [4]]);
    const asked = (sequential: object) => [0, 1, 2, 3].map((made) => askedAfter(made, 4, config(sequential)));
    expect(asked({ schedule: "immediate" })).toEqual([0, 1, 2, 3]);
    expect(asked({ schedule: "final" })).toEqual([3, 3, 3, 3]);
    expect(asked({ schedule: "gap", gap: 2 })).toEqual([2, 3, 3, 3]);
    expect(asked({ schedule: "gap", gap: 3, editsPerStep: 2 })).toEqual([2, 3, 3, 3]);
  });

  it("has a name in records", () => {
    expect(scheduleName(undefined)).toBe("simultaneous");
    expect(scheduleName(config({ schedule: "gap", gap: 4 }))).toBe("gap=4");
    expect(scheduleName(config({ schedule: "final", editsPerStep: 8 }))).toBe("final by 8");
  });

  it.each([
    [{ schedule: "gap" }, /gap but received none/],
    [{ schedule: "final", gap: 2 }, /received 2 with schedule: final/],
    [{}, /schedule/],
    [{ schedule: "final", editsPerStep: 0 }, /editsPerStep/],
  ])("is refused where it makes no sense: %j", (sequential, message) => {
    expect(() => evaluationSchema.parse({ sequential })).toThrow(message);
  });

  it("does not go with a gate that is always open", () => {
    const both = { gate: "always", sequential: { schedule: "final" } };
    expect(() => evaluationSchema.parse(both)).toThrow(/gate: always/);
  });
});

describe("edits one after the other", () => {
  const held = async (sequential: object) =>
    (await run(sequential)).lines.map(({ inScope }) => inScope[0]?.match);

  it("are asked about right after each, later, or after the last", async () => {
    expect(await held({ schedule: "immediate" })).toEqual([true, true, true, true, true]);
    expect(await held({ schedule: "gap", gap: 1 })).toEqual([true, true, true, true, true]);
    expect(await held({ schedule: "gap", gap: 2 })).toEqual([false, false, false, true, true]);
    expect(await held({ schedule: "final" })).toEqual([false, false, false, true, true]);
  });

  it("are followed as they grow old", async () => {
    const { lines } = await run({ schedule: "immediate" });
    for (const line of lines) expect(editRecordSchema.parse(line)).toEqual(line);
    expect(lines.map(({ retention }) => retention)).toEqual([
      [
        { age: 0, ES: 1 },
        { age: 1, ES: 1 },
        { age: 2, ES: 0 },
        { age: 4, ES: 0 },
      ],
      [
        { age: 0, ES: 1 },
        { age: 1, ES: 1 },
        { age: 2, ES: 0 },
      ],
      [
        { age: 0, ES: 1 },
        { age: 1, ES: 1 },
        { age: 2, ES: 0 },
      ],
      [
        { age: 0, ES: 1 },
        { age: 1, ES: 1 },
      ],
      [{ age: 0, ES: 1 }],
    ]);
  });

  it("build on each other, and the model before is given back", async () => {
    const { lines, subject } = await run({ schedule: "immediate" });
    expect(subject.made.map(({ places }) => places.at(-1))).toEqual(PLACES);
    expect(subject.made.every(({ disposed }) => disposed)).toBe(true);
    expect(subject.mostAlive()).toBe(2);
    // Drawdown is that of the last model, which holds other places.
    expect(lines[0]?.outScope).toMatchObject([{ edited: "Rome", same: true }]);
  });

  it("are summed up with their schedule, the curve and the mean of what editing took", async () => {
    const result = await evaluateCell({
      name: {
        method: "m",
        variant: "m",
        sweep: null,
        schedule: "final",
        dataset: "toy",
        model: "table",
        K: 5,
        seed: 0,
        configHash: "0",
      },
      subject: forgetful(),
      episodes: [episode],
      codec,
      evaluation: evaluationSchema.parse({
        sequential: { schedule: "final" },
        timing: { warmUps: 0, repetitions: 2 },
      }),
      trainStep: null,
      provenance: {
        modelChecksum: "a",
        modelRecord: null,
        training: "untrained",
        editorFingerprint: null,
        device: "cpu",
        threads: 1,
      },
      receipt: RECEIPT_BASIS,
      processPeakBytes: async () => 1,
    });
    expect(cellResultSchema.parse(result)).toEqual(result);
    expect(result.cell.ES.value).toBe(0.4);
    expect(result.retention.map(({ age, ES }) => [age, ES.value, ES.n])).toEqual([
      [0, 1, 5],
      [1, 1, 4],
      [2, 0, 3],
      [4, 0, 1],
    ]);
    expect(result.editing).toEqual({ steps: 3 });
    // Five edits and the answers, a millisecond each.
    expect(result.cell.inference?.wallMs.value).toBe(6);
  });
});
