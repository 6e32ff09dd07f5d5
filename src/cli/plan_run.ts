import type { SuiteConfig } from "../config/suite.js";
import { comparisonTable, plannedClaims, planTable } from "../profile/plan_table.js";
import { type PlanOptions, planSuite } from "../profile/planner.js";
import { textTable } from "../report/text_table.js";
import { EXIT_FAILED } from "./program.js";
import { createProgress } from "./progress.js";

/** Plans with progress on stderr and tables on stdout; resolves to the exit status: 0 also where nothing fits. */
export async function runPlan(suite: SuiteConfig, options: Omit<PlanOptions, "onPlanned">): Promise<number> {
  const progress = createProgress();
  try {
    const plan = await planSuite(suite, {
      ...options,
      onPlanned: (label, done, total) => progress.note(`[${done}/${total}] ${label}`),
    });
    progress.close();
    for (const table of [planTable(plan), comparisonTable(plan), ...plannedClaims(plan)])
      if (table !== null) process.stdout.write(`\n${textTable(table)}\n`);
    process.stdout.write(`\nPlan: ${options.outFile}\n`);
    for (const { method, model, K, code, message } of plan.failures)
      process.stderr.write(`${method} ${model} K=${K} could not be planned: ${code}: ${message}\n`);
    return plan.failures.length > 0 ? EXIT_FAILED : 0;
  } finally {
    progress.close();
  }
}
