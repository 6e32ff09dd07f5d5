import type { EditRecordLine } from "../evaluation/records.js";
import { type CellData, type RunData, readEdits } from "./run_data.js";

/** One question of the sample: what was asked, what both models said, and whether that was wanted. */
export interface SampleRow {
  readonly kind: "rephrase" | "noisy rephrase" | "own wording" | "unrelated" | "close but unrelated";
  readonly question: string;
  /** Null where it is not known. */
  readonly base: string | null;
  readonly edited: string;
  readonly wanted: string;
  /** Null where it takes the base's answer, which is not known. */
  readonly right: boolean | null;
}

/** An edit must reach what is about it and leave the rest alone: what to call that. */
export function verdictOf({ kind, right }: SampleRow): string {
  if (right === null) return "base not known";
  const outside = kind === "unrelated" || kind === "close but unrelated";
  if (outside) return right ? "kept" : "changed";
  return right ? "right" : "wrong";
}

/** An edit with the questions that were asked about it. */
export interface Sample {
  readonly question: string;
  readonly answer: string;
  readonly rows: readonly SampleRow[];
}

export interface SampleGroup {
  readonly title: string;
  readonly samples: readonly Sample[];
}

const EDITS_PER_GROUP = 6;
/** How many of them show a failure, where there are failures and enough successes. */
const FAILURES_PER_GROUP = 2;
/** The K whose edits are shown, or the nearest one there is. */
const SAMPLE_K = 10;

/**
 * A few edits for each data set, right and wrong ones, always the same for the same run: of one method and seed, so that
 * a report of many stays short, and of every system whose answers were made elsewhere.
 */
export async function readSamples(run: RunData): Promise<SampleGroup[]> {
  const [first] = run.summary.cells;
  const shown =
    run.summary.cells.find(({ variant, sweep }) => variant === "seprog" && sweep === null) ?? first;
  const groups = new Map<string, CellData>();
  for (const cell of run.cells) {
    const { method, dataset, model, K, seed, origin } = cell.result.cell;
    if (origin === null && (method !== shown?.method || seed !== shown.seed)) continue;
    const key = `${origin === null ? "" : method} · ${dataset} · ${model}`;
    const known = groups.get(key)?.result.cell.K;
    if (known === undefined || Math.abs(K - SAMPLE_K) < Math.abs(known - SAMPLE_K)) groups.set(key, cell);
  }
  const result: SampleGroup[] = [];
  for (const { folder, result: found } of groups.values()) {
    const samples = pickSamples(await readEdits(folder));
    if (samples.length > 0) {
      const { method, dataset, K } = found.cell;
      result.push({ title: `${method} on ${dataset}, ${K} ${K === 1 ? "edit" : "edits"} at once`, samples });
    }
  }
  return result;
}

/** The first failures and the first successes, in file order. */
export function pickSamples(records: readonly EditRecordLine[]): Sample[] {
  const samples = records.map((record) => ({ sample: toSample(record) }));
  const isFine = ({ sample }: { sample: Sample }): boolean => sample.rows.every((row) => row.right !== false);
  const allFine = samples.filter(isFine);
  const failures = Math.max(FAILURES_PER_GROUP, EDITS_PER_GROUP - allFine.length);
  const failed = samples.filter((item) => !isFine(item)).slice(0, failures);
  const fine = allFine.slice(0, EDITS_PER_GROUP - failed.length);
  const chosen = new Set([...failed, ...fine]);
  return samples.filter((item) => chosen.has(item)).map(({ sample }) => sample);
}

function toSample(record: EditRecordLine): Sample {
  const rows: SampleRow[] = [];
  const inScope = [
    ...record.inScope.slice(0, 1).map((probe) => ({ kind: "rephrase" as const, probe })),
    ...record.noisy.slice(0, 1).map((probe) => ({ kind: "noisy rephrase" as const, probe })),
  ];
  const asked = inScope.length > 0 ? inScope : [{ kind: "own wording" as const, probe: record.self }];
  for (const { kind, probe } of asked) {
    const { input, base, edited, match } = probe;
    rows.push({
      kind,
      question: input,
      base,
      edited,
      wanted: probe.expected[0] ?? record.answer,
      right: match,
    });
  }
  const outScope = [
    ...record.outScope.slice(0, 1).map((probe) => ({ kind: "unrelated" as const, probe })),
    ...record.hard.slice(0, 1).map((probe) => ({ kind: "close but unrelated" as const, probe })),
  ];
  for (const { kind, probe } of outScope) {
    rows.push({
      kind,
      question: probe.input,
      base: probe.base,
      edited: probe.edited,
      wanted: probe.base ?? probe.gold[0] ?? "",
      right: probe.same,
    });
  }
  return { question: record.question, answer: record.answer, rows };
}
