import { beforeAll, describe, expect, it } from "vitest";
import { evaluationSchema } from "../../src/config/evaluation.js";
import { assetPath } from "../../src/config/paths.js";
import type { EditRecord, Episode } from "../../src/data/types.js";
import { BaseAnswers } from "../../src/evaluation/base_answers.js";
import { BatchBudget } from "../../src/evaluation/batch_budget.js";
import { evaluateCell } from "../../src/evaluation/cell.js";
import { type EvaluatedEpisode, evaluate } from "../../src/evaluation/evaluate.js";
import { episodeQuestions } from "../../src/evaluation/questions.js";
import { cellResultSchema, type EditRecordLine, editRecordSchema } from "../../src/evaluation/records.js";
import { questionRows } from "../../src/evaluation/rows.js";
import type { BaseScorer, EditedScorer, Subject } from "../../src/evaluation/scorers.js";
import type {
  Answers,
  EditRequests,
  Generation,
  PairRows,
  TokenRows,
  TokenScores,
} from "../../src/native/addon.js";
import { EditCodec } from "../../src/tokenizers/edit_codec.js";
import { packRows, unpackRows } from "../../src/tokenizers/token_rows.js";
import { Tokenizer } from "../../src/tokenizers/tokenizer.js";
import { RECEIPT_BASIS } from "../support/receipts.js";

let codec: EditCodec;
beforeAll(async () => {
  const tokenizer = await Tokenizer.load(assetPath("models", "t5-mini"));
  codec = new EditCodec(tokenizer, { answers: "text", targetVocabulary: tokenizer.vocabularySize });
});

const phase = {
  name: "total",
  wallNs: 2e6,
  deviceNs: null,
  baselineBytes: 0,
  peakBytes: 1000,
  peakReservedBytes: 0,
  calls: 1,
  selfWallNs: 0,
  selfDeviceNs: null,
  flops: null,
  rolesAtPeak: null,
};
const measurement = { total: phase, queuedNs: 0, phases: [] };

/** Answers by looking the question up; records what it was asked. */
class TableScorer implements EditedScorer {
  disposed = false;
  readonly generated: number[] = [];
  /** The gold edits of each call, null where none were given. */
  readonly told: (number[] | null)[] = [];
  readonly #answerOf: (question: string) => string;
  readonly #inScope: ((question: string) => boolean) | undefined;

  constructor(answerOf: (question: string) => string, inScope?: (question: string) => boolean) {
    this.#answerOf = answerOf;
    this.#inScope = inScope;
  }

  says(source: Int32Array): string {
    return this.#answerOf(codec.answer(source).trim());
  }

  async generate(
    source: TokenRows,
    { goldEdits }: { readonly goldEdits?: Int32Array } = {},
  ): Promise<Generation> {
    this.generated.push(source.lengths.length);
    this.told.push(goldEdits ? [...goldEdits] : null);
    const rows = unpackRows(source);
    const inScope = this.#inScope;
    const tokens = packRows(rows.map((row) => codec.target(this.says(row))));
    if (inScope === undefined) return { tokens, measurement };
    return {
      tokens,
      measurement,
      scope: {
        logit: Float32Array.from(rows, (row) => (inScope(codec.answer(row).trim()) ? 3 : -3)),
        selected: new Int32Array(rows.length),
      },
    };
  }

  /** Arg-max repeats the answer's tokens as far as they go, then the stop token. */
  async score(
    { source, target }: PairRows,
    { goldEdits }: { readonly goldEdits?: Int32Array } = {},
  ): Promise<TokenScores> {
    this.told.push(goldEdits ? [...goldEdits] : null);
    const said = unpackRows(source).map((row) => codec.target(this.says(row)));
    const argmax = unpackRows(target).map((row, i) => Int32Array.from(row, (_, t) => said[i]?.[t] ?? 1));
    return {
      logProb: new Float32Array(target.ids.length).fill(-0.5),
      argmax: packRows(argmax).ids,
      rowLoss: Float32Array.from(target.lengths, (length) => length / 2),
    };
  }

  async answer(batch: PairRows, options: { readonly goldEdits?: Int32Array } = {}): Promise<Answers> {
    return { ...(await this.score(batch, options)), ...(await this.generate(batch.source, options)) };
  }

  async compare(_other: EditedScorer, { target }: PairRows): Promise<{ kl: Float32Array }> {
    return { kl: new Float32Array(target.ids.length).fill(0.25) };
  }

  async dispose(): Promise<void> {
    this.disposed = true;
  }
}

const record = (id: string): EditRecord => ({
  id,
  group: id,
  x_e: `Where is ${id}`,
  y_e_options: ["Paris"],
  in_scope: [],
  in_scope_noisy: [],
  entailed: [],
  hard_out: [],
  x_loc: `Where is ${id}`,
  y_loc: ["Rome"],
});

/** Two edits: the table model learns "alpha" on every wording, "beta" only on its own question. */
const episode: Episode = {
  edits: [
    { record: record("alpha"), x_e: "Where is alpha", y_e: "Paris" },
    { record: record("beta"), x_e: "Where is beta", y_e: "London" },
  ],
  inScope: [
    { x: "Where is alpha", y: "Paris", editIndex: 0, kind: "self" },
    { x: "alpha is in", y: "Paris", editIndex: 0, kind: "rephrase" },
    { x: "Rain fell. alpha is in", y: "Paris", editIndex: 0, kind: "noisy" },
    { x: "Where is beta", y: "London", editIndex: 1, kind: "self" },
    { x: "beta is in", y: "London", editIndex: 1, kind: "rephrase" },
  ],
  outScope: [
    { x: "Where is gamma", y_gold: ["Rome", "Roma"], kind: "random" },
    { x: "Where is delta", y_gold: ["Berlin"], kind: "hard" },
  ],
};

const baseTable = (): TableScorer & BaseScorer => new TableScorer(() => "Rome");

type Use = Partial<Pick<Subject, "needsGoldEdits" | "leavesGatedOffAlone">>;

function subject(
  base: TableScorer & BaseScorer,
  use: Use = {},
): Subject<TableScorer> & { made: TableScorer[] } {
  const made: TableScorer[] = [];
  return {
    base,
    needsGoldEdits: false,
    leavesGatedOffAlone: true,
    ...use,
    made,
    async apply({ labels }: EditRequests) {
      expect(labels).toHaveLength(2);
      const answer = (question: string): string => {
        if (question.includes("alpha")) return "Paris";
        if (question === "Where is beta") return "london";
        return question.includes("delta") ? "Madrid" : "Rome";
      };
      const model = new TableScorer(answer, (question) => !question.includes("gamma"));
      made.push(model);
      return { model, figures: { steps: 3 }, measurement };
    },
  };
}

async function collect(episodes: AsyncIterable<EvaluatedEpisode>): Promise<EditRecordLine[]> {
  const all: EditRecordLine[] = [];
  for await (const { lines } of episodes) all.push(...lines);
  return all;
}

const options = { budget: new BatchBudget({ mostRows: 3 }), maxNewTokens: 8 };

async function linesOf(
  use: Use = {},
  base = baseTable(),
): Promise<{ lines: EditRecordLine[]; made: TableScorer[]; base: TableScorer }> {
  const one = subject(base, use);
  const baseAnswers = new BaseAnswers(base, codec, options);
  const lines = await collect(evaluate({ subject: one, episodes: [episode], codec, baseAnswers }, options));
  return { lines, made: one.made, base };
}

describe("evaluation", () => {
  it("writes one line per edit, in the documented form", async () => {
    const { lines } = await linesOf();
    expect(lines.map(({ edit }) => edit)).toEqual([0, 1]);
    for (const line of lines) expect(editRecordSchema.parse(line)).toEqual(line);
  });

  it("asks each edit its own questions and compares with what was asked for", async () => {
    const { lines } = await linesOf();
    const [alpha, beta] = lines;
    expect(alpha?.self).toMatchObject({ base: "Rome", edited: "Paris", expected: ["Paris"], match: true });
    expect(alpha?.inScope).toMatchObject([{ input: "alpha is in", edited: "Paris", match: true }]);
    expect(alpha?.noisy).toMatchObject([{ input: "Rain fell. alpha is in", match: true }]);
    expect(alpha?.outScope).toMatchObject([{ same: true, goldMatch: true, kl: 0 }]);
    expect(alpha?.hard).toEqual([]);
    expect(beta?.self).toMatchObject({ edited: "london", match: true, matchStrict: false });
    expect(beta?.inScope).toMatchObject([{ edited: "Rome", match: false, teacherForced: false }]);
    expect(beta?.hard).toMatchObject([{ base: "Rome", edited: "Madrid", same: false, baseGoldMatch: false }]);
    expect(beta?.hard[0]?.kl).toBe(0.25 * (beta?.hard[0]?.tokens ?? Number.NaN));
    expect(beta?.outScope).toEqual([]);
  });

  it("does not take a teacher-forced hit for a generated one", async () => {
    const base = baseTable();
    const one = subject(base);
    const apply = one.apply.bind(one);
    one.apply = async (requests) => {
      const { model } = await apply(requests);
      model.generate = async (source) => ({
        tokens: packRows(unpackRows(source).map(() => codec.target("nonsense"))),
      });
      return { model, figures: { steps: 3 }, measurement };
    };
    const baseAnswers = new BaseAnswers(base, codec, options);
    const lines = await collect(evaluate({ subject: one, episodes: [episode], codec, baseAnswers }, options));
    expect(lines[0]?.self).toMatchObject({ match: false, teacherForced: true });
  });

  it("tells which edit each question is about only to methods that must know", async () => {
    const plain = await linesOf();
    expect(new Set(plain.made.flatMap(({ told }) => told))).toEqual(new Set([null]));
    const { made, base } = await linesOf({ needsGoldEdits: true });
    // In both protocols: three questions about the first edit, two about the second, two out of scope.
    const told = (made[0]?.told ?? []).flatMap((edits) => edits ?? []);
    expect(told.sort()).toEqual([-1, -1, 0, 0, 0, 1, 1].flatMap((edit) => [edit, edit]));
    expect(new Set(base.told)).toEqual(new Set([null]));
  });

  it("measures the divergence of gated-off questions where they are not left alone", async () => {
    const { lines } = await linesOf({ leavesGatedOffAlone: false });
    const [probe] = lines[0]?.outScope ?? [];
    expect(probe?.scope?.logit).toBeLessThan(0);
    expect(probe?.kl).toBe(0.25 * (probe?.tokens ?? Number.NaN));
  });

  it("says what the base says already", async () => {
    const { lines } = await linesOf(
      {},
      new TableScorer((question) => (question.includes("alpha") ? "Paris" : "Rome")),
    );
    expect(lines.map(({ self }) => self.baseMatch)).toEqual([true, false]);
  });

  it("asks the base once per distinct question, whatever the number of episodes", async () => {
    const base = baseTable();
    const baseAnswers = new BaseAnswers(base, codec, options);
    const rows = questionRows(episodeQuestions(episode), codec);
    await baseAnswers.learn([rows], rows.length);
    const asked = base.generated.reduce((sum, count) => sum + count, 0);
    expect(asked).toBe(rows.length);
    await baseAnswers.learn([rows, [...rows, ...rows]], 3 * rows.length);
    expect(base.generated.reduce((sum, count) => sum + count, 0)).toBe(asked);
  });

  it("disposes of every edited model, also after a failure", async () => {
    const { made } = await linesOf();
    const base = baseTable();
    base.compare = async () => {
      throw new Error("engine lost");
    };
    const failing = subject(base);
    const baseAnswers = new BaseAnswers(base, codec, options);
    await expect(
      collect(evaluate({ subject: failing, episodes: [episode], codec, baseAnswers }, options)),
    ).rejects.toThrow("engine lost");
    expect([...made, ...failing.made].map(({ disposed }) => disposed)).toEqual([true, true]);
  });

  it("sums a cell up in the documented form", async () => {
    const base = baseTable();
    const written: EditRecordLine[] = [];
    const result = await evaluateCell(
      {
        name: {
          method: "seprog",
          variant: "seprog",
          sweep: null,
          schedule: "simultaneous",
          dataset: "toy",
          model: "table",
          K: 2,
          seed: 0,
          configHash: "0".repeat(16),
        },
        subject: subject(base),
        episodes: [episode],
        codec,
        evaluation: evaluationSchema.parse({ batchSize: 3, timing: { warmUps: 1, repetitions: 4 } }),
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
        processPeakBytes: async () => 5000,
      },
      { onLine: (line) => void written.push(line) },
    );
    expect(cellResultSchema.parse(result)).toEqual(result);
    expect(written).toHaveLength(2);
    const { cell, timing } = result;
    expect([cell.ES.value, cell.ESself.value, cell.ESall.value, cell.ESnoisy?.value]).toEqual([
      0.5, 1, 0.75, 1,
    ]);
    expect([cell.DD?.value, cell.DDhard?.value, cell.DDgold?.value]).toEqual([0, 1, 0]);
    expect(result.perEpisode).toEqual({ ES: [0.5], DD: [0], editing: [{ steps: 3 }] });
    expect(result.editing).toEqual({ steps: 3 });
    expect([cell.base.accuracy?.value, cell.base.ES?.value]).toEqual([1, 0]);
    expect(cell.gate?.recall.value).toBe(1);
    expect(cell.inference?.wallMs).toEqual({ value: 4, low: 4, high: 4, n: 4 });
    expect(cell.inference?.promptsPerSecond.value).toBe(500);
    expect([timing?.inferenceWallMs.length, timing?.processPeakBytes, cell.train]).toEqual([4, 5000, null]);
  });
});
