// What the border costs: a call that does next to nothing on the engine, and what the JavaScript thread feels while the
// engine trains. Usage: node bench/seam/round_trip.mjs (after `npm run build`); prints one JSON object.
import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import { openEngine } from "../../dist/native/engine.js";

const CALLS = 20_000;
const WARM_UP = 2_000;
const STEPS = 40;

function quantiles(samples) {
  const sorted = Float64Array.from(samples).sort();
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  return { median: at(0.5), p95: at(0.95), p99: at(0.99), max: sorted[sorted.length - 1] };
}

/** µs of `call` awaited one after the other. */
async function roundTripUs(call) {
  const samples = [];
  for (let i = 0; i < CALLS + WARM_UP; i++) {
    const startMs = performance.now();
    await call();
    if (i >= WARM_UP) samples.push((performance.now() - startMs) * 1000);
  }
  return quantiles(samples);
}

/** µs that a call keeps the JavaScript thread before it gives its promise. */
function submitUs(call) {
  const samples = [];
  const promises = [];
  for (let i = 0; i < 1000; i++) {
    const startMs = performance.now();
    promises.push(call());
    samples.push((performance.now() - startMs) * 1000);
  }
  return Promise.all(promises).then(() => quantiles(samples));
}

const rows = (count, length, seed) => ({
  ids: Int32Array.from({ length: count * length }, (_, i) => 2 + ((i * 7919 + seed * 104729) % 7000)),
  lengths: new Int32Array(count).fill(length),
});
const pairs = (count, seed) => ({ source: rows(count, 24, seed), target: rows(count, 4, seed + 10) });

const engine = await openEngine();
const config = {
  model_type: "t5",
  vocab_size: 8000,
  d_model: 128,
  d_kv: 32,
  d_ff: 512,
  num_layers: 2,
  num_heads: 4,
};
const model = await engine.createModel(config, { seed: 1 });
const editor = await engine.createEditor({ kind: "seprog", promptLength: 8, hiddenWidth: 256 }, model);
const memory = await editor.createMemory();
const batch = {
  episodes: 1,
  edits: pairs(64, 1),
  editText: rows(64, 24, 1),
  inScope: pairs(64, 2),
  outScope: pairs(64, 3),
};

const emptyCall = await roundTripUs(() => memory.size());
const memoryStats = await roundTripUs(() => engine.memoryStats());
const submitStep = await submitUs(() => memory.size());

await editor.trainStep(batch, { learningRate: 0.001 });
// The timer's own resolution, 1 ms, is part of every figure; "idle" is the same clock without the engine.
async function eventLoopDelayMs(work) {
  const histogram = monitorEventLoopDelay({ resolution: 1 });
  histogram.enable();
  await work();
  histogram.disable();
  const ms = (ns) => ns / 1e6;
  return { mean: ms(histogram.mean), p99: ms(histogram.percentile(99)), max: ms(histogram.max) };
}
const blockedByCallMs = [];
let stepMs = 0;
const training = await eventLoopDelayMs(async () => {
  const startMs = performance.now();
  for (let step = 0; step < STEPS; step++) {
    const callMs = performance.now();
    const promise = editor.trainStep(batch, { learningRate: 0.001, measure: step % 2 === 0 });
    blockedByCallMs.push(performance.now() - callMs);
    await promise;
  }
  stepMs = (performance.now() - startMs) / STEPS;
});
const idle = await eventLoopDelayMs(() => new Promise((resolve) => setTimeout(resolve, stepMs * STEPS)));

console.log(
  JSON.stringify(
    {
      device: engine.device,
      threads: engine.threads,
      roundTripUs: { memorySize: emptyCall, memoryStats },
      submitUs: submitStep,
      training: { stepMs, submitMs: quantiles(blockedByCallMs), eventLoopDelayMs: training, idle },
    },
    null,
    2,
  ),
);
await engine.close();
