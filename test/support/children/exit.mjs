// One way to end a process while an engine is open. Usage: node exit.mjs MODE; prints "ready" when the end may come.
import { setTimeout as delay } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { config, generateForever, openEngine, pairs } from "./tiny.mjs";

async function openModel() {
  const engine = await openEngine({ threads: 1 });
  return { engine, model: await engine.createModel(config, { seed: 1 }) };
}

/** Until the engine is surely inside the job. */
async function startEndlessJob() {
  const { model } = await openModel();
  generateForever(model).catch(() => {});
  await delay(30);
}

function startWorker(mode) {
  const worker = new Worker(new URL("./exit_worker.mjs", import.meta.url), { workerData: mode });
  const ready = new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
  return { worker, ready, exit: new Promise((resolve) => worker.once("exit", resolve)) };
}

const modes = {
  async plain() {
    const { model } = await openModel();
    await model.score(pairs);
  },
  async "exit-during-job"() {
    await startEndlessJob();
    process.exit(3);
  },
  async "throw-during-job"() {
    await startEndlessJob();
    setImmediate(() => {
      throw new Error("thrown while a job runs");
    });
  },
  async "throwing-callback"() {
    const { model } = await openModel();
    model.score(pairs).then(() => {
      throw new Error("thrown by a callback");
    });
  },
  async "worker-terminate"() {
    const { worker, ready } = startWorker("endless");
    await ready;
    await delay(30);
    await worker.terminate();
    // The engine of another thread must not have suffered.
    const { model } = await openModel();
    await model.score(pairs);
  },
  async sigint() {
    process.on("SIGINT", () => process.exit(130));
    await startEndlessJob();
    console.log("ready");
    await delay(60_000);
  },
  async "four-workers"() {
    const workers = Array.from({ length: 4 }, () => startWorker("short"));
    await Promise.all(workers.map(({ ready }) => ready));
    const codes = await Promise.all(workers.map(({ exit }) => exit));
    if (codes.some((code) => code !== 0))
      throw new Error(`expected workers to end with 0 but received ${codes}`);
  },
};

await modes[process.argv[2]]();
