// A worker with an engine of its own. workerData: "endless" (posts when its job runs) or "short" (posts when it is done).
import { parentPort, workerData } from "node:worker_threads";
import { config, generateForever, openEngine, pairs } from "./tiny.mjs";

const engine = await openEngine({ threads: 1 });
const model = await engine.createModel(config, { seed: 1 });
if (workerData === "endless") {
  generateForever(model).catch(() => {});
  parentPort.postMessage("running");
} else {
  for (let i = 0; i < 20; i++) await model.score(pairs);
  parentPort.postMessage("done");
}
