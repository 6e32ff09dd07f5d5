// A whole evaluation the plain way, one question a call and nothing kept, against the way it is done: in batches, with
// what an earlier process had asked. The same lines, whatever the editor.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { editorCodec } from "../../src/config/editor_codec.js";
import { engineSpec } from "../../src/config/editor_spec.js";
import type { SequentialConfig } from "../../src/config/evaluation.js";
import { assetPath } from "../../src/config/paths.js";
import { textSchema } from "../../src/config/suite.js";
import { DEFAULT_EVALUATION, evaluationEpisodes } from "../../src/data/evaluation_episodes.js";
import { loadDataset } from "../../src/data/registry.js";
import type { EditRecord, Episode } from "../../src/data/types.js";
import { EDITORS, type EditorSpec, useOf } from "../../src/editors/registry.js";
import { AnswerStore } from "../../src/evaluation/answer_store.js";
import { BaseAnswers } from "../../src/evaluation/base_answers.js";
import { BatchBudget, type BatchBudgetOptions } from "../../src/evaluation/batch_budget.js";
import { requestsWithOutScope } from "../../src/evaluation/edit_time_questions.js";
import { evaluate } from "../../src/evaluation/evaluate.js";
import { KnownAnswers } from "../../src/evaluation/known_answers.js";
import type { EditRecordLine, InScopeProbe, OutScopeProbe } from "../../src/evaluation/records.js";
import { editRequests } from "../../src/evaluation/scorers.js";
import { editorSubject } from "../../src/evaluation/subject.js";
import { type Engine, type Model, openEngine } from "../../src/native/engine.js";
import type { EditCodec } from "../../src/tokenizers/edit_codec.js";
import { Tokenizer } from "../../src/tokenizers/tokenizer.js";
import { predictBase, predictEdits } from "../../src/training/base_predictions.js";
import { toBatch } from "../../src/training/episode_source.js";

const K = 4;
/** −ln p and KL of an answer of a few tokens: fp32, and sums over attention of another width. */
const TOLERANCE = 1e-4;
const SCHEDULE: SequentialConfig = { schedule: "gap", gap: 2, editsPerStep: 1 };

/** Small enough to be made at once; those that train make a step. */
const SPECS: { readonly [kind in keyof typeof EDITORS]: object } = {
  enn: { innerSteps: 2 },
  ft: { maxSteps: 3 },
  lookup: {},
  mend: { rank: 16 },
  nearest: { threshold: 0.8 },
  seprog: { hiddenWidth: 64, promptLength: 4 },
  serac: { classifier: { source: "directory", path: assetPath("models", "bert-mini") }, threshold: 1e-6 },
  slag: { innerSteps: 2, lstmWidth: 16, conditionWidth: 24, conditionerWidth: 20 },
};

let engine: Engine;
let base: Model;
let tokenizer: Tokenizer;
let records: EditRecord[];
let plainEpisodes: readonly Episode[];
let folder: string;
beforeAll(async () => {
  engine = await openEngine({ threads: 1 });
  const path = assetPath("models", "t5-mini");
  base = await engine.loadModel(path, { addPadToken: true });
  tokenizer = await Tokenizer.load(path);
  folder = await mkdtemp(join(tmpdir(), "seprog-paths-"));
  const { splits } = await loadDataset("counterfact", { tokenizer });
  const codec = await codecOf(specOf("lookup"));
  records = await predictBase(base, splits.test.slice(0, 60), codec);
  plainEpisodes = evaluationEpisodes(records, K, { ...DEFAULT_EVALUATION, maxEdits: 2 * K, minEpisodes: 2 });
});
afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true, force: true });
});

const specOf = (kind: keyof typeof EDITORS): EditorSpec =>
  EDITORS[kind].spec.parse({ kind, ...SPECS[kind] }) as EditorSpec;
const codecOf = (spec: EditorSpec): Promise<EditCodec> =>
  editorCodec(tokenizer, base.info, textSchema.parse({}), spec);

async function linesOf(
  kind: keyof typeof EDITORS,
  budget: BatchBudgetOptions,
  known: KnownAnswers,
  sequential?: SequentialConfig,
): Promise<EditRecordLine[]> {
  const spec = specOf(kind);
  const codec = await codecOf(spec);
  const episodes = codec.needsPrediction
    ? await predictEdits(known.over(base), plainEpisodes, codec)
    : plainEpisodes;
  await using editor = await engine.createEditor(engineSpec(spec, 5), base);
  const [first] = episodes;
  if (first && EDITORS[kind].isTrained(spec as never))
    await editor.trainStep(await toBatch({ K, episodes: [first] }, codec), { learningRate: 1e-3 });
  const subject = editorSubject(editor, base, "scope", useOf(spec), false);
  const requestsOf = useOf(spec).needsOutScope
    ? requestsWithOutScope(records, codec)
    : (edits: Episode) => editRequests(edits, codec);
  const options = { budget: new BatchBudget(budget), maxNewTokens: 10 };
  const baseAnswers = new BaseAnswers(base, codec, options, known);
  const lines: EditRecordLine[] = [];
  const input = { subject, episodes, codec, baseAnswers, sequential, requestsOf };
  for await (const episode of evaluate(input, options)) lines.push(...episode.lines);
  return lines;
}

const probesOf = (line: EditRecordLine): (InScopeProbe | OutScopeProbe)[] => [
  line.self,
  ...line.inScope,
  ...line.noisy,
  ...line.outScope,
  ...line.hard,
];

/** All but the figures that are rounded, which stand beside. */
function parted(line: EditRecordLine) {
  const floats: number[] = [];
  const words = probesOf(line).map((probe) => {
    const { scope, ...rest } = probe;
    floats.push(scope?.logit ?? 0, ("kl" in rest ? rest.kl : rest.negLogLik) ?? Number.NaN);
    return { ...rest, kl: 0, negLogLik: 0, gate: scope && [scope.logit > 0, scope.selected] };
  });
  return { words: { id: line.id, retention: line.retention, words }, floats };
}

function expectSame(lines: readonly EditRecordLine[], wanted: readonly EditRecordLine[]): void {
  expect(lines.map((line) => parted(line).words)).toEqual(wanted.map((line) => parted(line).words));
  const [floats, others] = [lines, wanted].map((of) => of.flatMap((line) => parted(line).floats)) as [
    number[],
    number[],
  ];
  const apart = floats.map((value, i) => Math.abs(value - (others[i] ?? Number.NaN)));
  expect(Math.max(...apart)).toBeLessThan(TOLERANCE);
}

describe.each(Object.keys(EDITORS) as (keyof typeof EDITORS)[])("%s", (kind) => {
  it("gives the lines of the plain way, cold and warm", async () => {
    const plain = await linesOf(kind, { mostRows: 1 }, new KnownAnswers());
    expect(plain).toHaveLength(2 * K);
    const store = new AnswerStore(folder, kind);
    expectSame(
      await linesOf(kind, { bytes: 2 ** 26, encodingBytes: 2 ** 24 }, await KnownAnswers.open(store)),
      plain,
    );
    const warm = await KnownAnswers.open(store);
    expectSame(await linesOf(kind, {}, warm), plain);
    expect([warm.asked, warm.reused > 0]).toEqual([0, true]);
  });

  it("does so with edits one after the other", async () => {
    const plain = await linesOf(kind, { mostRows: 1 }, new KnownAnswers(), SCHEDULE);
    expectSame(await linesOf(kind, {}, new KnownAnswers(), SCHEDULE), plain);
  });
});
