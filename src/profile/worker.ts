/** The process of one profiled or planned cell. */
import { serveJob } from "../bench/job_worker.js";
import type { ProfileJob } from "./job.js";

serveJob<ProfileJob>(async (job, { send: _, ...calls }) => {
  const { profileCell } = await import("./cell_run.js");
  await profileCell(job, calls);
  return {};
});
