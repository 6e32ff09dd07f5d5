/** The child's side of a job's channel: takes one job from the parent, tells how it goes, ends. */
import { SeprogError } from "../errors.js";
import type { LoopEvent, OnEvent } from "../training/events.js";
import type { JobMessage, ParentMessage } from "./job.js";

/** Progress often comes many times a millisecond; people need it a few times a second. */
const PROGRESS_EVERY_MS = 100;

/** What a job is done with. */
export interface JobCalls {
  readonly signal: AbortSignal;
  readonly onEvent: OnEvent;
  /** For messages beside progress; the end is told without it. */
  readonly send: (message: JobMessage) => Promise<void>;
}

/** Does the one job that the parent sends; `work` resolves to what the parent is told at the end. */
export function serveJob<AnyJob>(
  work: (job: AnyJob, calls: JobCalls) => Promise<Omit<Extract<JobMessage, { type: "done" }>, "type">>,
): void {
  const stopping = new AbortController();
  const stop = (): void => stopping.abort(new SeprogError("ABORTED", "interrupted"));

  // Ctrl-C reaches the whole process group; the parent decides what happens and says so over the channel.
  process.on("SIGINT", () => undefined);
  process.on("disconnect", stop);
  process.on("message", (message: ParentMessage<AnyJob>) => {
    if (message.type === "stop") stop();
    else void start(message.job);
  });

  async function start(job: AnyJob): Promise<void> {
    let lastProgressAt = 0;
    const onEvent = (event: LoopEvent): void => {
      const now = performance.now();
      if (event.type === "progress" && event.step < event.total && now - lastProgressAt < PROGRESS_EVERY_MS)
        return;
      lastProgressAt = now;
      void send({ type: "event", event });
    };
    try {
      await send({ type: "done", ...(await work(job, { signal: stopping.signal, onEvent, send })) });
    } catch (error) {
      const code = error instanceof SeprogError ? error.code : "INTERNAL";
      const message = error instanceof Error ? error.message : String(error);
      await send({ type: "failed", code, message });
      process.exitCode = 1;
    } finally {
      process.disconnect?.();
    }
  }
}

function send(message: JobMessage): Promise<void> {
  return new Promise((resolve) => {
    if (process.connected && process.send) process.send(message, () => resolve());
    else resolve();
  });
}
