// However questions are put together, kept and shared out, each gets the same answer: 1,000 cases against the plain way,
// one question at a time with nothing kept, in two calls.
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { assetPath } from "../../src/config/paths.js";
import { Rng } from "../../src/data/random.js";
import { AnswerStore } from "../../src/evaluation/answer_store.js";
import { type Answer, askAll, klOfRows } from "../../src/evaluation/answers.js";
import { BaseAnswers } from "../../src/evaluation/base_answers.js";
import { BatchBudget } from "../../src/evaluation/batch_budget.js";
import { KnownAnswers } from "../../src/evaluation/known_answers.js";
import { pairRows, type Row } from "../../src/evaluation/rows.js";
import type { EditRequests, EpisodeBatch, Spec } from "../../src/native/addon.js";
import { type EditedModel, type Engine, type Model, openEngine } from "../../src/native/engine.js";
import { EditCodec } from "../../src/tokenizers/edit_codec.js";
import { unpackRows } from "../../src/tokenizers/token_rows.js";
import { Tokenizer } from "../../src/tokenizers/tokenizer.js";
import { TINY_BASES, TINY_EDITOR, TINY_T5, VOCABULARY } from "../support/tiny_models.js";

const CASES = 1000;
/** Questions of one model that cases draw from. */
const POOL = 32;
const EDITS = 8;
const NEW_TOKENS = 6;
/** fp32: sums over a row's attention run over as many columns as the longest row beside it has. Per token. */
const TOLERANCE = 1e-5;

/** What a case asks: a base model, or one that was edited. */
interface Asked {
  readonly name: string;
  readonly base: Model;
  readonly edited: EditedModel | null;
  readonly rows: readonly Row[];
}

let tokenizer: Tokenizer;
let folder: string;
let engines: Engine[];
/** The same models on each engine. */
let worlds: Asked[][];

/** Longer and shorter rows: beside some a row is padded, beside others it is not. */
function randomRows(base: Model, count: number, rng: Rng): Row[] {
  const tokens = (least: number, most: number): Int32Array =>
    Int32Array.from({ length: least + rng.int(most - least + 1) }, () => 2 + rng.int(VOCABULARY - 2));
  return Array.from({ length: count }, () => {
    const source = tokens(1, 14);
    if (base.info.answers === "label") return { source, target: Int32Array.of(rng.int(2)), goldEdit: -1 };
    const target = tokens(1, 4);
    if (base.info.answers === "text") target[target.length - 1] = base.info.stopId;
    return { source, target, goldEdit: -1 };
  });
}

const requestsOf = (edits: readonly Row[]): EditRequests => {
  const rows = pairRows(edits);
  return {
    edits: rows,
    editText: rows.source,
    editPrefix: rows.source,
    labels: edits.map((_, i) => `edit ${i}`),
  };
};

async function world(engine: Engine): Promise<Asked[]> {
  const all: Asked[] = [];
  for (const [family, spec] of Object.entries(TINY_BASES)) {
    const base = await engine.createModel(spec, { seed: 3 });
    const rng = Rng.fromSeed(17);
    const edits = randomRows(base, EDITS, rng);
    const outside = randomRows(base, EDITS, rng);
    const near = randomRows(base, EDITS, rng).map(({ source }, i) => ({ ...(edits[i] as Row), source }));
    const rows = [...edits, ...near, ...outside, ...randomRows(base, POOL - 3 * EDITS, rng)];
    const { editText, editPrefix } = requestsOf(edits);
    const batch: EpisodeBatch = {
      episodes: 1,
      edits: pairRows(edits),
      editText,
      ...(editPrefix && { editPrefix }),
      inScope: pairRows(near),
      outScope: pairRows(outside),
    };
    all.push({ name: `${family}, unedited`, base, edited: null, rows });
    const other = base.info.answers === "continuation" ? { editEncoder: directory("encoder") } : {};
    const specs: { readonly [name: string]: readonly [Spec, steps: number] } = {
      seprog: [{ ...TINY_EDITOR, ...other }, 30],
      ft: [{ kind: "ft", editLearningRate: 1e-2, maxSteps: 4 }, 0],
      ...(family === "t5" && {
        softgate: [{ ...TINY_EDITOR, variant: "softgate" }, 10],
        enn: [{ kind: "enn", innerSteps: 2 }, 2],
        mend: [{ kind: "mend", rank: 8 }, 2],
        slag: [{ kind: "slag", innerSteps: 2, lstmWidth: 8, conditionWidth: 12, conditionerWidth: 10 }, 2],
        serac: [{ kind: "serac", classifier: directory("classifier"), threshold: 1e-4 }, 2],
        lookup: [{ kind: "lookup" }, 0],
        nearest: [{ kind: "nearest", threshold: 0.9 }, 0],
      }),
    };
    for (const [name, [editorSpec, steps]] of Object.entries(specs)) {
      const editor = await engine.createEditor(editorSpec, base);
      for (let step = 0; step < steps; step++) await editor.trainStep(batch, { learningRate: 1e-2 });
      const { model } = await editor.edit(requestsOf(edits), base);
      all.push({ name: `${family}, ${name}`, base, edited: model, rows });
    }
  }
  return all;
}

const directory = (name: string): Spec => ({ source: "directory", path: join(folder, name) });

beforeAll(async () => {
  tokenizer = await Tokenizer.load(assetPath("models", "t5-mini"));
  folder = await mkdtemp(join(tmpdir(), "seprog-fuzz-"));
  engines = [await openEngine({ threads: 1 }), await openEngine({ threads: 1 })];
  const [first] = engines as [Engine, ...Engine[]];
  for (const [name, spec] of [
    ["encoder", TINY_T5],
    ["classifier", TINY_BASES.distilbert as Spec],
  ] as const) {
    await mkdir(join(folder, name));
    await (await first.createModel(spec, { seed: 4 })).save(join(folder, name));
  }
  worlds = await Promise.all(engines.map(world));
});
afterAll(async () => {
  await Promise.all(engines.map((engine) => engine.close()));
  await rm(folder, { recursive: true, force: true });
});

const codecOf = ({ base }: Asked): EditCodec =>
  new EditCodec(tokenizer, { answers: base.info.answers, targetVocabulary: 2 });

/** One row at a time, generated and scored by calls of their own. */
async function plainly(asked: Asked): Promise<{ answers: Answer[]; kl: number[] }> {
  const { base, edited, rows } = asked;
  const codec = codecOf(asked);
  const answers: Answer[] = [];
  const kl: number[] = [];
  for (const row of rows) {
    const pair = pairRows([row]);
    const { tokens, scope } = await (edited ?? base).generate(pair.source, {
      maxNewTokens: NEW_TOKENS,
      ...codec.generation,
    });
    const { argmax, rowLoss } = await (edited ?? base).score(pair);
    const [said = new Int32Array()] = unpackRows(tokens);
    answers.push({
      text: codec.answer(said),
      tokens: said,
      argmax,
      target: row.target,
      negLogLik: rowLoss[0] ?? Number.NaN,
      ...(scope && { scope: { logit: scope.logit[0] ?? Number.NaN, selected: scope.selected[0] ?? -1 } }),
    });
    const compared = edited && (await base.compare(edited, pair)).kl;
    kl.push(compared?.reduce((sum, value) => sum + value, 0) ?? 0);
  }
  return { answers, kl };
}

interface Case {
  readonly subject: number;
  /** Positions in the pool, some of them twice. */
  readonly drawn: readonly number[];
  readonly mostRows: number;
  readonly bytes: number | undefined;
  readonly encodingBytes: number;
  readonly workers: number;
  readonly warm: boolean;
}

function drawCase(rng: Rng, subjects: number): Case {
  return {
    subject: rng.int(subjects),
    drawn: Array.from({ length: 1 + rng.int(40) }, () => rng.int(POOL)),
    mostRows: 2 ** rng.int(10),
    bytes: rng.int(3) === 0 ? 2 ** (14 + rng.int(8)) : undefined,
    encodingBytes: rng.int(2) * 2 ** (10 + rng.int(10)),
    workers: 1 + rng.int(2),
    warm: rng.int(2) === 0,
  };
}

async function ask(
  one: Case,
  worker: number,
  drawn: readonly number[],
): Promise<{ answers: Answer[]; kl: number[] }> {
  const asked = worlds[worker]?.[one.subject] as Asked;
  const { base, edited } = asked;
  const codec = codecOf(asked);
  const rows = drawn.map((i) => asked.rows[i] as Row);
  const options = { budget: new BatchBudget(one), maxNewTokens: NEW_TOKENS };
  if (edited) {
    const { answers } = await askAll(edited, rows, codec, options);
    const all = rows.map(() => true);
    return { answers, kl: await klOfRows(base, edited, rows, all, options) };
  }
  const store = new AnswerStore(join(folder, "kept"), `${one.subject}`);
  const known = one.warm ? await KnownAnswers.open(store) : new KnownAnswers();
  const said = new BaseAnswers(base, codec, options, known);
  await said.learn([rows.slice(0, 8), rows.slice(8)], rows.length);
  return { answers: rows.map((row) => said.of(row)), kl: rows.map(() => 0) };
}

const gateOf = ({ scope }: Answer) => scope && { open: scope.logit > 0, selected: scope.selected };

test(`${CASES} ways of asking give the answers of one question at a time`, async () => {
  const [first] = worlds as [Asked[], ...Asked[][]];
  const references: Awaited<ReturnType<typeof plainly>>[] = [];
  for (const asked of first) references.push(await plainly(asked));
  // Answers differ and gates decide both ways: else nothing below could fail.
  const texts = new Set(references.flatMap(({ answers }) => answers.map(({ tokens }) => tokens.join())));
  expect(texts.size).toBeGreaterThan(100);
  const gates = references.flatMap(({ answers }) => answers.flatMap((answer) => gateOf(answer) ?? []));
  expect(new Set(gates.map(({ open }) => open)).size).toBe(2);
  expect(new Set(gates.map(({ selected }) => selected)).size).toBeGreaterThan(4);

  const rng = Rng.fromSeed(8);
  let compared = 0;
  for (let number = 0; number < CASES; number++) {
    const one = drawCase(rng, first.length);
    const where = `case ${number}: ${first[one.subject]?.name}, ${JSON.stringify(one)}`;
    const shares = Array.from({ length: one.workers }, (_, worker) =>
      one.drawn.filter((_row, i) => i % one.workers === worker),
    );
    const said = await Promise.all(shares.map((drawn, worker) => ask(one, worker, drawn)));
    for (const [worker, { answers, kl }] of said.entries())
      for (const [at, i] of (shares[worker] ?? []).entries()) {
        const answer = answers[at] as Answer;
        const wanted = references[one.subject]?.answers[i] as Answer;
        expect([...answer.tokens], where).toEqual([...wanted.tokens]);
        expect([...answer.argmax], where).toEqual([...wanted.argmax]);
        expect([answer.text, gateOf(answer)], where).toEqual([wanted.text, gateOf(wanted)]);
        const bound = TOLERANCE * wanted.target.length;
        expect(Math.abs(answer.negLogLik - wanted.negLogLik), where).toBeLessThan(bound);
        expect(Math.abs((answer.scope?.logit ?? 0) - (wanted.scope?.logit ?? 0)), where).toBeLessThan(
          TOLERANCE,
        );
        expect(Math.abs((kl[at] ?? Number.NaN) - (references[one.subject]?.kl[i] ?? 0)), where).toBeLessThan(
          bound,
        );
        compared += 1;
      }
  }
  expect(compared).toBeGreaterThan(10 * CASES);
}, 300_000);
