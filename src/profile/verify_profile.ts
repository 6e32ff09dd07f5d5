import { existsSync } from "node:fs";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { datasetLabel } from "../bench/grid.js";
import { ContentHashes } from "../bench/identity.js";
import { difference, receiptDifferences, type Verdict } from "../bench/verify_compare.js";
import { chooseRecords, type RecordForm, readConfig } from "../bench/verify_record.js";
import { refuseOtherData, type VerifyOptions } from "../bench/verify_run.js";
import { selectFrom } from "../config/select.js";
import { SeprogError } from "../errors.js";
import { choicesOf } from "../evaluation/receipt.js";
import { PROFILE_FILES } from "../report/profile/profile_run.js";
import { profileRecordSchema } from "../report/profile/record_schema.js";
import { RUN_FILES, readJson } from "../report/run_data.js";
import type { ProfileRecord } from "./record.js";
import { type ProfileRunOptions, profileSuite } from "./runner.js";

const PROFILE_RECORDS: RecordForm = { cells: PROFILE_FILES.profiles, record: PROFILE_FILES.record };

/** Whether the path names a profile, a folder of one or a run of them. */
export const isProfile = (path: string): boolean =>
  path.endsWith(PROFILE_FILES.record) ||
  existsSync(join(path, PROFILE_FILES.record)) ||
  existsSync(join(path, PROFILE_FILES.profiles));

/** What the runner wrote down of itself. */
type ProfileConfig = Pick<ProfileRunOptions, "shapes"> & {
  readonly suite: Parameters<typeof profileSuite>[0];
};

/**
 * As `verifyRecords`, of profiles: the work is done again once, and its answers compared.
 * @throws as `verifyRecords` and `profileSuite`
 */
export async function verifyProfiles(options: VerifyOptions): Promise<Verdict[]> {
  const { runFolder, cells } = await chooseRecords(options.record, options, PROFILE_RECORDS);
  const config = (await readConfig(runFolder)) as ProfileConfig;
  const verdicts: Verdict[] = [];
  for (const cell of cells) {
    const path = join(runFolder, PROFILE_FILES.profiles, cell, PROFILE_FILES.record);
    const record = await readJson(path, profileRecordSchema);
    const again = await profileAgain(runFolder, cell, record, config, options);
    const verdict = judgeProfile(cell, record, again);
    verdicts.push(verdict);
    options.onEvent?.({ type: "verdict", verdict, done: verdicts.length, total: cells.length });
  }
  return verdicts;
}

async function profileAgain(
  runFolder: string,
  cell: string,
  { method, dataset, model, K, receipt }: ProfileRecord,
  { suite, shapes }: ProfileConfig,
  { editorsDirectory, signal, onEvent, worker }: VerifyOptions,
): Promise<ProfileRecord> {
  const name = suite.datasets.map((entry) => entry.name).find((one) => datasetLabel(one) === dataset);
  if (name !== undefined) await refuseOtherData({ name: cell, dataset: name }, receipt, new ContentHashes());
  const one = selectFrom(suite, { methods: [method], ...(name !== undefined && { datasets: [name] }) });
  const folder = await mkdtemp(join(tmpdir(), "seprog-verify-"));
  try {
    const [kept, copy] = [join(runFolder, RUN_FILES.episodes), join(folder, RUN_FILES.episodes)];
    if (existsSync(kept)) await cp(kept, copy, { recursive: true });
    const { records, failures } = await profileSuite(one, {
      folder,
      engine: {
        device: receipt.machine.device,
        threads: receipt.machine.threads,
        deterministic: receipt.deterministic,
      },
      environment: choicesOf(receipt),
      k: [K],
      ...(shapes && { shapes: { ...shapes, names: shapes.names.filter((shape) => shape === model) } }),
      benchFolder: editorsDirectory,
      warmUps: 0,
      repetitions: 1,
      rounds: 1,
      fresh: false,
      ...(signal && { signal }),
      ...(worker !== undefined && { worker }),
      onEvent: (event) => {
        if (event.type === "job") onEvent?.({ type: "job", label: cell, event: event.event });
      },
    });
    const [again] = records;
    if (again !== undefined) return again;
    const [failure] = failures;
    throw new SeprogError(
      failure?.code ?? "DATA_INVALID",
      failure?.message ?? `expected ${cell} in the suite of ${join(runFolder, PROFILE_FILES.config)}`,
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function judgeProfile(cell: string, record: ProfileRecord, again: ProfileRecord): Verdict {
  const sameTokens = record.receipt.outputHash === again.receipt.outputHash;
  const figures = [
    ...difference("successes", record.successes, again.successes),
    ...difference("taken in scope", record.takenInScope.inScope, again.takenInScope.inScope),
    ...difference(
      "taken in scope of unrelated inputs",
      record.takenInScope.outScope,
      again.takenInScope.outScope,
    ),
  ];
  return {
    cell,
    same: sameTokens && figures.length === 0,
    sameTokens,
    // How often it is repeated is part of a profile's configuration, and is other here.
    receipt: receiptDifferences({ ...record.receipt, configHash: again.receipt.configHash }, again.receipt),
    answers: null,
    figures,
  };
}
