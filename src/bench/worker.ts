/** The process of one job: takes it over the channel to its parent, tells how it goes, ends. */
import { SeprogError } from "../errors.js";
import type { LoopEvent } from "../training/events.js";
import type { Job, JobMessage, ParentMessage, TrainingStop } from "./job.js";

/** Progress often comes many times a millisecond; people need it a few times a second. */
const PROGRESS_EVERY_MS = 100;

const stopping = new AbortController();
const stop = (): void => stopping.abort(new SeprogError("ABORTED", "interrupted"));

// Ctrl-C reaches the whole process group; the parent decides what happens and says so over the channel.
process.on("SIGINT", () => undefined);
process.on("disconnect", stop);
process.on("message", (message: ParentMessage) => {
  if (message.type === "stop") stop();
  else void start(message.job);
});

function send(message: JobMessage): Promise<void> {
  return new Promise((resolve) => {
    if (process.connected && process.send) process.send(message, () => resolve());
    else resolve();
  });
}

async function start(job: Job): Promise<void> {
  let lastProgressAt = 0;
  const onEvent = (event: LoopEvent): void => {
    const now = performance.now();
    if (event.type === "progress" && event.step < event.total && now - lastProgressAt < PROGRESS_EVERY_MS)
      return;
    lastProgressAt = now;
    void send({ type: "event", event });
  };
  try {
    const overBudget = await work(job, { signal: stopping.signal, onEvent });
    await send({ type: "done", ...(overBudget && { overBudget }) });
  } catch (error) {
    const code = error instanceof SeprogError ? error.code : "INTERNAL";
    const message = error instanceof Error ? error.message : String(error);
    await send({ type: "failed", code, message });
    process.exitCode = 1;
  } finally {
    process.disconnect?.();
  }
}

/** Does the job; resolves to where a training stood that was stopped by its budget. */
async function work(
  job: Job,
  calls: { signal: AbortSignal; onEvent: (event: LoopEvent) => void },
): Promise<TrainingStop | undefined> {
  switch (job.kind) {
    case "probe": {
      const { probeEngine } = await import("./probe_run.js");
      await send({ type: "probe", facts: await probeEngine(job.engine) });
      return undefined;
    }
    case "train": {
      const { trainToFolder } = await import("./train_run.js");
      const outcome = await trainToFolder(job, calls);
      return "overBudget" in outcome ? outcome.overBudget : undefined;
    }
    case "cell": {
      const { measureCell } = await import("./cell_run.js");
      await measureCell(job, calls);
      return undefined;
    }
  }
}
