/** The process of one profiled or planned cell. */
import { serveJob } from "../bench/job_worker.js";
import type { PlanJob, ProfileJob } from "./job.js";

serveJob<ProfileJob | PlanJob>(async (job, { send: _, ...calls }) => {
  switch (job.kind) {
    case "profile": {
      const { profileCell } = await import("./cell_run.js");
      await profileCell(job, calls);
      return {};
    }
    case "plan": {
      const { planCell } = await import("./plan_run.js");
      await planCell(job, calls);
      return {};
    }
  }
});
