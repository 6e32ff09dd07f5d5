/** The process of one job of a suite. */
import type { Job } from "./job.js";
import { serveJob } from "./job_worker.js";

serveJob<Job>(async (job, { send, ...calls }) => {
  switch (job.kind) {
    case "probe": {
      const { probeEngine } = await import("./probe_run.js");
      await send({ type: "probe", facts: await probeEngine(job.engine) });
      return {};
    }
    case "train": {
      const { trainToFolder } = await import("./train_run.js");
      const outcome = await trainToFolder(job, calls);
      // Where a training stood that was stopped by its budget.
      return "overBudget" in outcome ? { overBudget: outcome.overBudget } : {};
    }
    case "cell": {
      const { measureCell } = await import("./cell_run.js");
      await measureCell(job, calls);
      return {};
    }
  }
});
