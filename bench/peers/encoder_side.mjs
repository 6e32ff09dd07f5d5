// The product's side of encoder.py: loads the model in FOLDER, then answers lines. "step N" scores the batch of
// FOLDER/task.json N times.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { openEngine } from "../../dist/native/engine.js";

const folder = process.argv[2];
const { rows, threads } = JSON.parse(readFileSync(`${folder}/task.json`, "utf8"));
const engine = await openEngine({ threads });
const model = await engine.loadModel(folder);
const batch = {
  source: { ids: Int32Array.from(rows.flat()), lengths: Int32Array.from(rows, (row) => row.length) },
  target: { ids: new Int32Array(rows.length), lengths: new Int32Array(rows.length).fill(1) },
};

const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);

say({ ready: true });
for await (const line of createInterface({ input: process.stdin })) {
  const [, count] = line.split(" ");
  const ms = [];
  const before = process.cpuUsage();
  let scores;
  for (let i = 0; i < Number(count); i++) {
    const startMs = performance.now();
    scores = await model.score(batch);
    ms.push(performance.now() - startMs);
  }
  const { user, system } = process.cpuUsage(before);
  say({ ms, cpuMs: (user + system) / 1e3 / ms.length, logProbs: Array.from(scores.logProb) });
}
await engine.close();
