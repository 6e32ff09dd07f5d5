// How rows are put together must not matter: whatever the size of a batch, the order of its rows and so the padding
// around them, every row gets the same scores, answers and gate.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Rng } from "../../src/data/random.js";
import type { EpisodeBatch, PairRows } from "../../src/native/addon.js";
import { type EditedModel, type Engine, type Model, openEngine } from "../../src/native/engine.js";
import { packRows, unpackRows } from "../../src/tokenizers/token_rows.js";
import { TINY_BASES, TINY_EDITOR, TINY_T5, VOCABULARY } from "../support/tiny_models.js";

const ROWS = 64;
const EDITS = 8;
/** fp32; probabilities differ in their last bits where matrices of other sizes are multiplied. */
const TOLERANCE = 1e-5;
/** Beside one row at a time, which all are compared with. */
const BATCH_SIZES = [7, 64];

interface Row {
  readonly source: Int32Array;
  readonly target: Int32Array;
}

/** All that a model says of one row. */
interface Said {
  readonly logProb: readonly number[];
  readonly argmax: readonly number[];
  readonly answer: readonly number[];
  /** Of an edited model, when scoring and when generating. */
  readonly gates: readonly { readonly logit: number; readonly open: boolean; readonly selected: number }[];
}

let engine: Engine;
let encoderFolder: string;
beforeAll(async () => {
  engine = await openEngine({ threads: 1 });
  encoderFolder = await mkdtemp(join(tmpdir(), "seprog-encoder-"));
  await (await engine.createModel(TINY_T5, { seed: 4 })).save(encoderFolder);
});
afterAll(async () => {
  await engine.close();
  await rm(encoderFolder, { recursive: true });
});

describe.each(Object.entries(TINY_BASES))("%s", (_, spec) => {
  const rng = Rng.fromSeed(11);
  let base: Model;
  let edited: EditedModel;
  let rows: Row[];

  const tokens = (least: number, most: number): Int32Array =>
    Int32Array.from({ length: least + rng.int(most - least + 1) }, () => 2 + rng.int(VOCABULARY - 2));
  const row = (): Row => {
    const target = tokens(1, 5);
    if (base.info.answers === "label") return { source: tokens(1, 14), target: Int32Array.of(rng.int(2)) };
    if (base.info.answers === "text") target[target.length - 1] = base.info.stopId;
    return { source: tokens(1, 14), target };
  };
  const someRows = (count: number): Row[] => Array.from({ length: count }, row);

  beforeAll(async () => {
    base = await engine.createModel(spec, { seed: 3 });
    // A model that goes on with its source has no encoder of its own.
    const editEncoder = { source: "directory", path: encoderFolder };
    const own = base.info.answers === "continuation" ? { editEncoder } : {};
    const editor = await engine.createEditor({ ...TINY_EDITOR, ...own }, base);
    const edits = someRows(EDITS);
    const inScope = edits.map(({ target }) => ({ ...row(), target }));
    const outScope = someRows(EDITS);
    const editText = packRows(edits.map(({ source }) => source));
    const batch: EpisodeBatch = {
      episodes: 1,
      edits: pairs(edits),
      editText,
      inScope: pairs(inScope),
      outScope: pairs(outScope),
    };
    for (let step = 0; step < 30; step++) await editor.trainStep(batch, { learningRate: 1e-2 });
    const memory = await editor.createMemory();
    await memory.add(
      editText,
      edits.map((_, i) => `edit ${i}`),
    );
    edited = await editor.withMemory(memory);
    rows = [...inScope, ...outScope, ...someRows(ROWS - 2 * EDITS)];
  });

  const orders = (): [string, number[]][] => {
    const given = rows.map((_, i) => i);
    return [
      ["given", given],
      ["shuffled", Rng.fromSeed(5).shuffle([...given])],
    ];
  };

  async function expectSame(model: Model | EditedModel): Promise<Said[]> {
    const { answers } = base.info;
    const reference = await askInBatches(model, answers, rows, 1);
    for (const [name, order] of orders())
      for (const size of BATCH_SIZES) {
        const said = await askInBatches(
          model,
          answers,
          order.map((i) => rows[i] as Row),
          size,
        );
        order.forEach((i, at) => {
          expectSaid(said[at] as Said, reference[i] as Said, `row ${i}, ${name} order, batches of ${size}`);
        });
      }
    return reference;
  }

  it("scores and answers a row alone as in any batch", async () => {
    const said = await expectSame(base);
    expect(new Set(said.map(({ answer }) => answer.join(" "))).size).toBeGreaterThan(1);
  });

  it("gates, scores and answers a row of an edited model alone as in any batch", async () => {
    const said = await expectSame(edited);
    const open = said.filter(({ gates }) => gates[0]?.open);
    expect(open.length).toBeGreaterThan(0);
    expect(open.length).toBeLessThan(ROWS);
  });
});

const pairs = (rows: readonly Row[]): PairRows => ({
  source: packRows(rows.map(({ source }) => source)),
  target: packRows(rows.map(({ target }) => target)),
});

async function askInBatches(
  model: Model | EditedModel,
  kind: Model["info"]["answers"],
  rows: readonly Row[],
  size: number,
): Promise<Said[]> {
  const said: Said[] = [];
  for (let from = 0; from < rows.length; from += size) {
    const batch = rows.slice(from, from + size);
    const { source, target } = pairs(batch);
    const scored = await model.score({ source, target });
    const answered = await model.generate(source, {
      maxNewTokens: kind === "label" ? 1 : 6,
      stopAtEnd: kind === "text",
    });
    const answers = unpackRows(answered.tokens);
    let at = 0;
    batch.forEach((row, i) => {
      const own = <T extends Float32Array | Int32Array>(values: T) =>
        Array.from(values.subarray(at, at + row.target.length));
      said.push({
        logProb: own(scored.logProb),
        argmax: own(scored.argmax),
        answer: Array.from(answers[i] ?? []),
        gates: [scored.scope, answered.scope].flatMap((scope) => {
          const logit = scope?.logit[i];
          const selected = scope?.selected[i];
          return logit === undefined || selected === undefined ? [] : [{ logit, open: logit > 0, selected }];
        }),
      });
      at += row.target.length;
    });
    if (kind === "continuation") for (const answer of answers) expect(answer).toHaveLength(6);
  }
  return said;
}

function expectSaid(actual: Said, wanted: Said, where: string): void {
  expect(actual.argmax, where).toEqual(wanted.argmax);
  expect(actual.answer, where).toEqual(wanted.answer);
  expect(
    actual.gates.map(({ open, selected }) => ({ open, selected })),
    where,
  ).toEqual(wanted.gates.map(({ open, selected }) => ({ open, selected })));
  expect(furthest(actual.logProb, wanted.logProb), where).toBeLessThan(TOLERANCE);
  const logits = (said: Said) => said.gates.map(({ logit }) => logit);
  expect(furthest(logits(actual), logits(wanted)), where).toBeLessThan(TOLERANCE);
}

/** Largest distance of two lists. */
const furthest = (a: readonly number[], b: readonly number[]): number =>
  Math.max(0, Math.abs(a.length - b.length), ...a.map((value, i) => Math.abs(value - (b[i] ?? Number.NaN))));
