import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Measurement, Spec } from "../../src/native/addon.js";
import { openEngine } from "../../src/native/engine.js";
import {
  TINY_EDITOR,
  TINY_T5,
  tinyEpisodes,
  tinyPairs,
  tinyRequests,
  tinyRows,
} from "../support/tiny_models.js";

const EDITORS: readonly Spec[] = [
  TINY_EDITOR,
  { kind: "enn", seed: 1 },
  { kind: "mend", seed: 1 },
  { kind: "ft", maxSteps: 3 },
];

const T5_3B: Spec = {
  ...TINY_T5,
  vocab_size: 32128,
  d_model: 1024,
  d_kv: 128,
  d_ff: 16384,
  num_heads: 32,
  num_layers: 24,
  num_decoder_layers: 24,
  relative_attention_num_buckets: 32,
  relative_attention_max_distance: 128,
};

const peakOf = (measurement: Measurement | undefined): number => {
  if (measurement === undefined) throw new Error("expected a measurement");
  return measurement.total.peakBytes - measurement.total.baselineBytes;
};

/** What every call of an editor's life takes on top of what stood there. */
async function peaksOn(device: string, spec: Spec): Promise<Readonly<Record<string, number>>> {
  await using engine = await openEngine({ device, threads: 1 });
  const model = await engine.createModel(TINY_T5, { seed: 1 });
  const editor = await engine.createEditor(spec, model);
  const step = { learningRate: 0.001, measure: true };
  const trained = spec.kind === "ft" ? [] : [tinyEpisodes(4), tinyEpisodes(4)];
  let trainStep: number | null = null;
  for (const batch of trained) trainStep = peakOf((await editor.trainStep(batch, step)).measurement);
  const generation = { maxNewTokens: 4, stopAtEnd: false, measure: true };
  return {
    ...(trainStep !== null && { trainStep }),
    edit: peakOf((await editor.edit(tinyRequests(4), model, { measure: true })).measurement),
    score: peakOf((await model.score(tinyPairs(4), { measure: true })).measurement),
    generate: peakOf((await model.generate(tinyRows(4, 5), generation)).measurement),
  };
}

test.each(EDITORS)("planned peaks are those of the CPU: $kind", async (spec) => {
  const measured = await peaksOn("cpu", spec);
  const planned = await peaksOn("plan:cpu", spec);
  expect(Object.keys(planned)).toEqual(Object.keys(measured));
  // The matrix library that the engine chose may want scratch of its own, which counts at such sizes.
  const scratchBytes = 128 * 1024;
  for (const [call, bytes] of Object.entries(measured)) {
    expect(planned[call]).toBeGreaterThan(0.9 * (bytes - scratchBytes));
    expect(planned[call]).toBeLessThan(1.1 * bytes);
  }
});

test("a training step of t5-3b is planned without its memory", async () => {
  await using engine = await openEngine({ device: "plan:cuda" });
  const model = await engine.createModel(T5_3B, { seed: 1 });
  const before = process.memoryUsage.rss();
  const editor = await engine.createEditor({ ...TINY_EDITOR, promptLength: 32, hiddenWidth: 1024 }, model);
  const step = await editor.trainStep(tinyEpisodes(64, 1, 20), { learningRate: 0.001, measure: "detail" });
  expect(step.measurement?.total.peakBytes).toBeGreaterThan(20 * 1024 ** 3);
  expect(step.measurement?.total.flops?.forward).toBeGreaterThanOrEqual(0);
  expect(process.memoryUsage.rss() - before).toBeLessThan(1024 ** 3);
});

test("rows are in the scope of an edit, or of none", async () => {
  const logits = async (device: string) => {
    await using engine = await openEngine({ device });
    const model = await engine.createModel(TINY_T5, { seed: 1 });
    const editor = await engine.createEditor(TINY_EDITOR, model);
    const { model: edited } = await editor.edit(tinyRequests(3), model);
    return [...((await edited.generate(tinyRows(3, 5), { maxNewTokens: 2 })).scope?.logit ?? [])];
  };
  expect(await logits("plan:cpu")).toEqual([1, 1, 1]);
  expect(await logits("plan:cpu:out-of-scope")).toEqual([-1, -1, -1]);
});

test("what would need values says so", async () => {
  const folder = await mkdtemp(join(tmpdir(), "seprog-plan-"));
  await using engine = await openEngine({ device: "plan:cpu" });
  expect(engine.device).toBe("plan:cpu");
  const model = await engine.createModel(TINY_T5, { seed: 1 });
  await expect(model.save(folder)).rejects.toMatchObject({ code: "UNSUPPORTED" });
  expect(await readdir(folder)).toEqual([]);
  await rm(folder, { recursive: true });
  await expect(openEngine({ device: "plan:tpu" })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
});
