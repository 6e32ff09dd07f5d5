import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { SeprogError } from "../errors.js";
import type { OnEvent } from "../training/events.js";
import type { EngineFacts } from "./environment.js";
import type { Job, JobMessage, ParentMessage, TrainingStop } from "./job.js";
import { countMemoryKills, deathError } from "./process_death.js";

const WORKER = fileURLToPath(new URL("./worker.js", import.meta.url));
/** How long a process may take to end after it was asked to stop. */
const STOP_GRACE_MS = 30_000;
const STDERR_KEPT = 4000;

export interface JobOptions {
  readonly signal?: AbortSignal;
  readonly onEvent?: OnEvent;
  /** Program of the process; default: the worker of this package. */
  readonly worker?: string;
  /** Variables of the process's environment beside this one's. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Called with the process's number before it is given the job. */
  readonly onStart?: (pid: number) => Promise<void>;
}

/** What a job leaves beside its files. */
export interface JobOutcome {
  /** Of a probe. */
  readonly facts?: EngineFacts;
  /** Of a training that was stopped by its budget. */
  readonly overBudget?: TrainingStop;
}

/**
 * Runs a job in a process of its own: its own peak memory, and a crash of it is an error here.
 * @throws SeprogError as the job threw it; INTERNAL or OUT_OF_MEMORY, its cause a ProcessEnd, when the process died; the
 *   signal's reason when stopped
 */
export async function runJob<AnyJob = Job>(job: AnyJob, options: JobOptions = {}): Promise<JobOutcome> {
  const { signal, onEvent } = options;
  signal?.throwIfAborted();
  const killsBefore = countMemoryKills();
  const child = fork(options.worker ?? WORKER, [], {
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    serialization: "advanced",
    env: { ...process.env, ...options.environment },
  });
  const send = (message: ParentMessage<AnyJob>): void => {
    if (child.connected) child.send(message);
  };
  let stderr = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-STDERR_KEPT);
  });
  let facts: EngineFacts | undefined;
  let failure: SeprogError | undefined;
  let overBudget: TrainingStop | undefined;
  let done = false;
  child.on("message", (message: JobMessage) => {
    if (message.type === "event") onEvent?.(message.event);
    else if (message.type === "probe") facts = message.facts;
    else if (message.type === "done") {
      done = true;
      overBudget = message.overBudget;
    } else failure = new SeprogError(message.code, message.message);
  });
  let killTimer: NodeJS.Timeout | undefined;
  const stop = (): void => {
    send({ type: "stop" });
    killTimer = setTimeout(() => child.kill("SIGKILL"), STOP_GRACE_MS);
  };
  signal?.addEventListener("abort", stop, { once: true });
  try {
    const ended = new Promise<{ code: number | null; signal: string | null }>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => resolve({ code, signal }));
    });
    if (child.pid !== undefined) await options.onStart?.(child.pid);
    send({ type: "start", job });
    const end = await ended;
    if (done) return { ...(facts && { facts }), ...(overBudget && { overBudget }) };
    signal?.throwIfAborted();
    const memoryKills = { before: killsBefore, after: countMemoryKills() };
    throw failure ?? deathError({ ...end, stderr, memoryKills });
  } finally {
    clearTimeout(killTimer);
    signal?.removeEventListener("abort", stop);
  }
}
