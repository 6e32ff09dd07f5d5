import type { SuiteEvent, SuiteRunOptions } from "../bench/suite_events.js";
import { runSuite } from "../bench/suite_runner.js";
import type { SuiteConfig } from "../config/suite.js";
import type { Work } from "../evaluation/records.js";
import { compactNumber, NOT_MEASURED, overBudgetText, share } from "../report/number_format.js";
import { duration } from "../report/units.js";
import { EXIT_FAILED } from "./program.js";
import { createProgress, type Progress } from "./progress.js";
import { printTables } from "./result_table.js";
import { workLines } from "./work_text.js";

/** Runs a suite with its progress on stderr and its table on stdout; resolves to the exit status. */
export async function benchSuite(
  suite: SuiteConfig,
  options: Omit<SuiteRunOptions, "onEvent">,
): Promise<number> {
  // Of a grid of many cells the line at the end of each is what matters.
  const progress = createProgress({ lineEveryMs: 60_000 });
  const measured: (Work | null)[] = [];
  try {
    const { summary, run, reports, failures } = await runSuite(suite, {
      ...options,
      onEvent: (event) => {
        if (event.type === "cell") measured.push(event.result.work);
        show(event, progress);
      },
    });
    progress.close();
    printTables(run);
    for (const line of workLines(measured)) process.stderr.write(`${line}\n`);
    process.stdout.write(`\nReport: ${reports.html}\n        ${reports.markdown}\n`);
    for (const { label, error } of failures) {
      process.stderr.write(`${label} could not be measured: ${error.code}: ${error.message}\n`);
    }
    if (failures.length > 0) process.stderr.write("Run the same command again to try the missing cells.\n");
    const { overBudget } = summary;
    if (overBudget.length > 0)
      process.stderr.write(
        `${counted(overBudget.length, "cell")} of ${[...new Set(overBudget.map(({ method }) => method))].join(", ")} not measured: training over budget. The same command with a larger --budget-minutes goes on where it stopped.\n`,
      );
    return failures.length + overBudget.length > 0 ? EXIT_FAILED : 0;
  } finally {
    progress.close();
  }
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`;

/** Time until the whole run is done. */
const left = (etaMs: number | null): string => (etaMs ? ` · ${duration(etaMs)} left` : "");

function show(event: SuiteEvent, progress: Progress): void {
  switch (event.type) {
    case "job":
      progress.onEvent(event.event, event.label);
      return;
    case "editor":
      progress.close();
      progress.note(
        `${event.label}: ${event.reused ? "trained editor found in" : "trained into"} ${event.folder}${left(event.etaMs)}`,
      );
      return;
    case "planned": {
      const { methods, datasets, Ks, seeds, cells, trainings } = event;
      progress.note(
        `${counted(methods, "method")} × ${counted(datasets, "data set")} × ${Ks} K × ${counted(seeds, "seed")}: ${counted(cells, "cell")}, ${counted(trainings, "editor")} to train`,
      );
      return;
    }
    case "skipped":
      if (event.count > 0) progress.note(`${event.count} of ${event.total} cells are already measured`);
      return;
    case "cell": {
      const { method, dataset, K, seed, ES, DD } = event.result.cell;
      const { tuning } = event.result;
      const tuned = tuning ? `, ${tuning.option.split(".").at(-1)} ${compactNumber(tuning.value)}` : "";
      progress.close();
      progress.note(
        `[${event.done}/${event.total}] ${method} ${dataset} K=${K}, seed ${seed}: ES ${share(ES.value)}, DD ${DD === null ? NOT_MEASURED : share(DD.value)}${tuned}${left(event.etaMs)}`,
      );
      return;
    }
    case "over-budget": {
      progress.close();
      const [first] = event.cells;
      if (first)
        progress.note(
          `${event.label}: ${overBudgetText(first)}; ${counted(event.cells.length, "cell")} left out${left(event.etaMs)}`,
        );
      return;
    }
    case "retry":
      progress.close();
      progress.note(`${event.label}: tried again later: ${event.error.message}`);
      return;
    case "waiting":
      progress.note(`${event.label}: another run in this folder is at it; waiting`);
      return;
    case "failed":
      progress.close();
      progress.note(`${event.label} failed: ${event.error.code}: ${event.error.message}`);
  }
}
