import { createHash } from "node:crypto";
import type { AnswerLine } from "../evaluation/answer_lines.js";

/** What the harness logs of one question. The metrics stand beside these keys, by their names. */
export interface Sample {
  readonly doc_id: number;
  readonly doc: Readonly<Record<string, unknown>>;
  readonly target: string;
  readonly arguments: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly resps: readonly (readonly string[])[];
  readonly filtered_resps: readonly string[];
  readonly filter: "none";
  readonly metrics: readonly string[];
  readonly doc_hash: string;
  readonly prompt_hash: string;
  readonly target_hash: string;
  readonly [metric: string]: unknown;
}

export interface LmEvalTask {
  readonly name: string;
  readonly samples: readonly Sample[];
  /** `<metric>,none` and `<metric>_stderr,none`. */
  readonly results: Readonly<Record<string, string | number>>;
  readonly higherIsBetter: Readonly<Record<string, boolean>>;
  readonly config: Readonly<Record<string, unknown>>;
}

interface SampleMetric {
  readonly higherIsBetter: boolean;
  /** Null where it is not known of a line. */
  readonly of: (line: AnswerLine) => boolean | null;
}

const not = (value: boolean | null): boolean | null => (value === null ? null : !value);
const gatedOn = ({ gate }: AnswerLine): boolean | null => (gate === null ? null : gate.logit > 0);

/** Questions that an edit should change. */
const IN_SCOPE_METRICS: Readonly<Record<string, SampleMetric>> = {
  edit_success: { higherIsBetter: true, of: ({ right }) => right },
  edit_success_teacher_forced: { higherIsBetter: true, of: ({ teacherForced }) => teacherForced },
  gate_accuracy: { higherIsBetter: true, of: gatedOn },
};

/** Questions that an edit should leave alone. */
const OUT_SCOPE_METRICS: Readonly<Record<string, SampleMetric>> = {
  drawdown: { higherIsBetter: false, of: ({ right }) => not(right) },
  drawdown_teacher_forced: { higherIsBetter: false, of: ({ teacherForced }) => not(teacherForced) },
  exact_match: { higherIsBetter: true, of: ({ matchesGold }) => matchesGold },
  gate_accuracy: { higherIsBetter: true, of: (line) => not(gatedOn(line)) },
};

const KIND_NAMES: Readonly<Record<AnswerLine["kind"], string>> = {
  self: "self",
  inScope: "in_scope",
  noisy: "noisy",
  outScope: "out_of_scope",
  hard: "hard_out_of_scope",
};

/** One task for each kind of question, data set, K and schedule, in the order of their first lines. */
export function lmEvalTasks(lines: readonly AnswerLine[], maxNewTokens: number | null): LmEvalTask[] {
  const seeds = new Set(lines.map(({ seed }) => seed));
  const linesOf = new Map<string, AnswerLine[]>();
  for (const line of lines) {
    const name = taskName(line, seeds.size > 1);
    const known = linesOf.get(name);
    if (known === undefined) linesOf.set(name, [line]);
    else known.push(line);
  }
  return [...linesOf].map(([name, own]) => toTask(name, own, maxNewTokens));
}

function taskName({ dataset, K, schedule, kind, seed }: AnswerLine, withSeed: boolean): string {
  const when = schedule === "simultaneous" ? [] : [schedule];
  const name = [dataset, `k${K}`, ...when, ...(withSeed ? [`seed${seed}`] : []), KIND_NAMES[kind]].join("_");
  return name.replace(/[^A-Za-z0-9_]/g, "_");
}

function toTask(name: string, lines: readonly AnswerLine[], maxNewTokens: number | null): LmEvalTask {
  const [first] = lines;
  const all = Object.entries(first?.inScope ? IN_SCOPE_METRICS : OUT_SCOPE_METRICS);
  const metrics = all.filter(([, metric]) => lines.every((line) => metric.of(line) !== null));
  const generation = { until: [], max_gen_toks: maxNewTokens, do_sample: false };
  return {
    name,
    samples: lines.map((line, index) => toSample(line, index, metrics, generation)),
    results: {
      name,
      alias: name,
      sample_len: lines.length,
      ...Object.fromEntries(
        metrics.flatMap(([metric, { of }]) => {
          const { mean, stderr } = meanOf(lines.map((line) => Number(of(line))));
          return [
            [`${metric},none`, mean],
            [`${metric}_stderr,none`, stderr],
          ];
        }),
      ),
    },
    higherIsBetter: Object.fromEntries(
      metrics.map(([metric, { higherIsBetter }]) => [metric, higherIsBetter]),
    ),
    config: {
      task: name,
      dataset_path: first?.dataset ?? "",
      test_split: "test",
      doc_to_text: "{{question}}",
      doc_to_target: "{{gold[0]}}",
      description: "",
      target_delimiter: "",
      fewshot_delimiter: "\n\n",
      num_fewshot: 0,
      metric_list: metrics.map(([metric, { higherIsBetter }]) => ({
        metric,
        aggregation: "mean",
        higher_is_better: higherIsBetter,
      })),
      output_type: "generate_until",
      generation_kwargs: generation,
      repeats: 1,
      should_decontaminate: false,
      metadata: { version: 1, K: first?.K, schedule: first?.schedule },
    },
  };
}

function toSample(
  line: AnswerLine,
  index: number,
  metrics: readonly (readonly [string, SampleMetric])[],
  generation: Readonly<Record<string, unknown>>,
): Sample {
  const { question, gold, base, edited, episode, edit, editId, kind } = line;
  // No fractions: the harness's hash rests on how Python writes them.
  const doc = { question, gold, base, kind, episode, edit, edit_id: editId, gate: gatedOn(line) };
  const target = gold[0] ?? "";
  return {
    doc_id: index,
    doc,
    target,
    arguments: { gen_args_0: { arg_0: question, arg_1: generation } },
    resps: [[edited]],
    filtered_resps: [edited],
    filter: "none",
    metrics: metrics.map(([metric]) => metric),
    doc_hash: sha256(JSON.stringify(doc, null, 2)),
    prompt_hash: sha256(question),
    target_hash: sha256(target),
    ...Object.fromEntries(metrics.map(([metric, { of }]) => [metric, Number(of(line))])),
  };
}

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/** With the harness's standard error: sample standard deviation over √n. */
function meanOf(values: readonly number[]): { readonly mean: number; readonly stderr: number | "N/A" } {
  const n = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  if (n < 2) return { mean, stderr: "N/A" };
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, stderr: Math.sqrt(squares / (n - 1) / n) };
}
