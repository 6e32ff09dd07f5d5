import type { SuiteConfig } from "../config/suite.js";
import { writeFileAtomically } from "../files.js";
import { medianEstimate } from "../metrics/bootstrap.js";
import type { OperationSamples, ProfileRecord } from "../profile/record.js";
import { type ProfileEvent, type ProfileRunOptions, profileSuite } from "../profile/runner.js";
import { traceOf } from "../profile/trace.js";
import { readProfileRun } from "../report/profile/profile_run.js";
import { profileTables } from "../report/profile/profile_tables.js";
import { writeProfileReports } from "../report/profile/write_profile.js";
import { textTable } from "../report/text_table.js";
import { bytes, duration, preciseDuration } from "../report/units.js";
import { EXIT_FAILED } from "./program.js";
import { createProgress, type Progress } from "./progress.js";

/** Profiles with progress on stderr and tables on stdout; resolves to the exit status. */
export async function runProfile(
  suite: SuiteConfig,
  { traceFile, ...options }: Omit<ProfileRunOptions, "onEvent"> & { readonly traceFile?: string | undefined },
): Promise<number> {
  const progress = createProgress({ lineEveryMs: 60_000 });
  try {
    const { records, failures } = await profileSuite(suite, {
      ...options,
      onEvent: (event) => show(event, progress),
    });
    progress.close();
    const run = await readProfileRun(options.folder);
    for (const table of profileTables(run)) process.stdout.write(`\n${textTable(table)}\n`);
    const paths = await writeProfileReports(run, options.folder);
    if (traceFile !== undefined) {
      await writeFileAtomically(traceFile, JSON.stringify(traceOf(records)));
      process.stdout.write(`\nTrace: ${traceFile}\n`);
    }
    process.stdout.write(`\nReport: ${paths.html}\n        ${paths.markdown}\n        ${paths.csv}\n`);
    if (failures.length > 0) process.stderr.write("Run the same command again to try the missing cells.\n");
    return failures.length > 0 ? EXIT_FAILED : 0;
  } finally {
    progress.close();
  }
}

function show(event: ProfileEvent, progress: Progress): void {
  switch (event.type) {
    case "planned":
      progress.note(
        `${event.cells} cells to profile${event.known > 0 ? `, ${event.known} of them known` : ""}`,
      );
      return;
    case "job":
      progress.onEvent(event.event, event.label);
      return;
    case "round": {
      const { label, round, rounds, etaMs } = event;
      progress.close();
      if (round < rounds)
        progress.note(`${label}: round ${round} of ${rounds}${etaMs ? ` · ${duration(etaMs)} left` : ""}`);
      return;
    }
    case "profiled": {
      const { record, done, total } = event;
      progress.note(`[${done}/${total}] ${lineOf(record)}`);
      return;
    }
    case "failed":
      progress.close();
      progress.note(`${event.label} failed: ${event.failure.code}: ${event.failure.message}`);
  }
}

function lineOf({ method, dataset, model, K, trainStep, inScope }: ProfileRecord): string {
  const training = "notApplicable" in trainStep ? "no training step" : `training step ${costOf(trainStep)}`;
  return `${method} ${dataset ?? model} K=${K}: ${training}; inference ${costOf(inScope)}`;
}

const costOf = ({ wallMs, peakBytes }: OperationSamples): string =>
  `${preciseDuration(medianEstimate(wallMs)?.value ?? 0)}, ${bytes(Math.max(...peakBytes))}`;
