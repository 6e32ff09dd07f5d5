import { SeprogError } from "../errors.js";

/** Exit status after Ctrl-C, as shells expect it: 128 + SIGINT. */
export const EXIT_INTERRUPTED = 130;

/**
 * Runs `work` with a signal that Ctrl-C (or SIGTERM) aborts. The first one asks the work to end cleanly; a second one
 * ends the process at once.
 */
export async function interruptible<Result>(work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
  const controller = new AbortController();
  const onSignal = (): void => {
    if (controller.signal.aborted) process.exit(EXIT_INTERRUPTED);
    process.stderr.write("\nStopping at the next safe point; press Ctrl-C again to stop at once.\n");
    controller.abort(new SeprogError("ABORTED", "interrupted"));
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  try {
    return await work(controller.signal);
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  }
}
