// Deterministic mode: asked for by the first engine, whole trainings give the same bits again. Where nothing hangs on
// timing they do so without the mode too; that it is on is shown by what it fixes and by what it takes.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { assetPath } from "../../src/config/paths.js";
import { type Engine, openEngine } from "../../src/native/engine.js";
import { TINY_EDITOR, tinyEpisodes, tinyPairs, tinyRequests } from "../support/tiny_models.js";

/** Everything that a short training and an edit leave, as text; on a model large enough that threads share the work. */
async function trained(engine: Engine, learningRate = 1e-3): Promise<string[]> {
  const base = await engine.loadModel(assetPath("models", "t5-mini"));
  const editor = await engine.createEditor(TINY_EDITOR, base);
  const losses: number[] = [];
  for (let step = 0; step < 3; step++) {
    const { figures } = await editor.trainStep(tinyEpisodes(32, 2), { learningRate });
    losses.push(figures.loss ?? Number.NaN);
  }
  const { model } = await editor.edit(tinyRequests(32), base);
  const { logProb } = await model.score(tinyPairs(64));
  return [await editor.fingerprint(), losses.join(" "), logProb.join(" ")];
}

describe.each([1, 2])("%i threads", (threads) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await openEngine({ threads, deterministic: true });
  });
  afterAll(() => engine.close());

  it("train to the same bits twice, on one engine and on another", async () => {
    const first = await trained(engine);
    expect(await trained(engine)).toEqual(first);
    await using other = await openEngine({ threads, deterministic: true });
    expect(await trained(other)).toEqual(first);
  });

  it("are told apart by the least that differs", async () => {
    const [fingerprint] = await trained(engine);
    const [other] = await trained(engine, 1e-3 * (1 + 2 ** -20));
    expect(other).not.toBe(fingerprint);
  });
});

it("fixes what the libraries below decide for themselves", () => {
  expect(process.env.MKL_CBWR).toBe("AUTO");
});

it("takes the matrix library that does not hang on a timing", async () => {
  await using engine = await openEngine({ threads: 1, deterministic: true });
  expect(engine.deterministic).toBe(true);
  const { SEPROG_MATMUL: asked } = process.env;
  expect(await engine.matmulBackend()).toMatchObject({
    name: asked ?? "default",
    reason: asked === undefined ? "fixed in deterministic mode" : "asked for by SEPROG_MATMUL",
  });
});

it("is not what an engine does unasked", async () => {
  await using engine = await openEngine({ threads: 1 });
  expect(engine.deterministic).toBe(false);
});
