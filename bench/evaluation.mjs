// What batches and kept answers save: the same cells measured with nothing kept, with an empty cache, with what that run
// kept, and with a method added, each by the whole command.
// Usage: node bench/evaluation.mjs [--shape t5-small|t5-mini] [--edits 1000] [--k 64] [--methods ft,nearest] [--threads N]
// Prints one JSON object a run and the table of bench/README.md. CPU seconds are those of all processes of a run.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = fileURLToPath(new URL("..", import.meta.url));
const { values } = parseArgs({
  options: {
    shape: { type: "string", default: "t5-small" },
    edits: { type: "string", default: "1000" },
    k: { type: "string", default: "64" },
    methods: { type: "string", default: "ft,nearest" },
    threads: { type: "string", default: "2" },
  },
});

const SHAPES = {
  "t5-small": { d_model: 512, d_kv: 64, d_ff: 2048, num_layers: 6, num_heads: 8, vocab_size: 32128 },
};

const EDITORS = {
  ft: { kind: "ft", maxSteps: 5, editLearningRate: 1e-4 },
  nearest: { kind: "nearest" },
  lookup: { kind: "lookup" },
};

/** Random weights of a shape, with t5-mini's tokenizer and pieces that occur in no text for the ids it lacks. */
async function writeModel(folder, shape) {
  const { openEngine } = await import("../dist/native/engine.js");
  const mini = join(root, "assets", "models", "t5-mini");
  const tokenizer = JSON.parse(readFileSync(join(mini, "tokenizer.json"), "utf8"));
  const { vocab } = tokenizer.model;
  const lowest = Math.min(...vocab.map(([, score]) => score)) - 100;
  while (vocab.length < shape.vocab_size) vocab.push([`\u2581\u27e8${vocab.length}\u27e9`, lowest]);
  mkdirSync(folder);
  const engine = await openEngine({ threads: 1 });
  const model = await engine.createModel({ model_type: "t5", num_decoder_layers: shape.num_layers, ...shape }, { seed: 1 });
  await model.save(folder);
  await engine.close();
  writeFileSync(join(folder, "tokenizer.json"), JSON.stringify(tokenizer));
}

function writeSuite(path, model, names) {
  const suite = {
    schemaVersion: 1,
    name: "evaluation",
    datasets: [{ name: "counterfact", model }],
    k: [Number(values.k)],
    seeds: [0],
    methods: Object.fromEntries(names.map((name) => [name, { editor: EDITORS[name] }])),
    evaluation: {
      maxEdits: Number(values.edits),
      minEpisodes: 1,
      rephrasesPerEdit: 2,
      outScope: { hardShare: 1 },
      maxNewTokens: 10,
      timing: { warmUps: 0, repetitions: 1 },
    },
  };
  writeFileSync(path, JSON.stringify(suite));
}

/** Wall and CPU seconds of one `bench` into a fresh run folder, and what its cells say they asked. */
function run(name, { suite, out, cache }, flags = []) {
  const times = `${out}.times`;
  const args = ["bench", "--suite", suite, "--out", out, "--threads", values.threads, ...flags];
  const command = `TIMEFORMAT='%R %U %S'; { time node "$0" "$@" >/dev/null 2>"${out}.log"; } 2>"${times}"`;
  const { status } = spawnSync("bash", ["-c", command, join(root, "bin", "seprog-native.mjs"), ...args], {
    env: { ...process.env, SEPROG_CACHE: cache },
    stdio: "inherit",
  });
  if (status !== 0) throw new Error(`${name} failed:\n${readFileSync(`${out}.log`, "utf8")}`);
  const [wallS = 0, userS = 0, systemS = 0] = readFileSync(times, "utf8").trim().split(" ").map(Number);
  const cells = readdirSync(join(out, "cells")).map((cell) =>
    JSON.parse(readFileSync(join(out, "cells", cell, "result.json"), "utf8")),
  );
  const sum = (key) => cells.reduce((total, { work }) => total + (work?.[key] ?? 0), 0);
  const result = {
    run: name,
    wallS,
    cpuS: userS + systemS,
    baseAsked: sum("baseAsked"),
    baseReused: sum("baseReused"),
    questions: sum("questions"),
    questionsAsked: sum("questionsAsked"),
    outputs: cells.map(({ receipt }) => receipt.outputHash.slice(0, 8)),
  };
  console.log(JSON.stringify(result));
  return result;
}

const folder = mkdtempSync(join(tmpdir(), "seprog-evaluation-"));
try {
  const shape = SHAPES[values.shape];
  const model = shape ? join(folder, values.shape) : values.shape;
  if (shape) await writeModel(model, shape);
  const names = values.methods.split(",");
  const all = join(folder, "all.yaml");
  const first = join(folder, "first.yaml");
  writeSuite(all, model, names);
  writeSuite(first, model, names.slice(0, 1));
  const cache = join(folder, "kept");
  const place = (out, suite = all) => ({ suite, out: join(folder, out), cache });
  const runs = [
    run("nothing kept, one row a call", place("single"), ["--no-cache", "--set", "evaluation.batchSize=1"]),
    run("nothing kept, batches", place("plain"), ["--no-cache"]),
    run("empty cache", place("cold")),
    run("kept answers", place("warm")),
    run(`${names[0]} alone, kept answers`, place("grown", first)),
  ];
  cpSync(join(folder, "grown"), join(folder, "whole"), { recursive: true });
  runs.push(run(`the same folder, ${names.slice(1).join(", ")} added`, place("whole")));
  const outputs = new Set(runs.slice(0, 4).map((one) => one.outputs.join()));
  if (outputs.size > 1) throw new Error("expected the same answers of all runs");
  console.log("\n| run | wall, s | CPU, s | base asked | base reused | edited models asked |\n|---|---|---|---|---|---|");
  for (const { run: name, wallS, cpuS, baseAsked, baseReused, questionsAsked } of runs)
    console.log(`| ${name} | ${wallS.toFixed(1)} | ${cpuS.toFixed(1)} | ${baseAsked} | ${baseReused} | ${questionsAsked} |`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
