import { createHash } from "node:crypto";
import { join } from "node:path";
import type { AnswerLine } from "../evaluation/answer_lines.js";
import { writeFileAtomically, writeJsonAtomically } from "../files.js";
import { type LmEvalTask, lmEvalTasks, type Sample } from "./lm_eval_tasks.js";

/** The release of lm-evaluation-harness whose files these are like. */
export const LM_EVAL_LAYOUT = "0.4.13";

export interface LmEvalRun {
  /** Whose answers they are: names the folder. */
  readonly model: string;
  /** More about it, as the harness's `model_args`. */
  readonly modelArgs: Readonly<Record<string, string>>;
  readonly lines: readonly AnswerLine[];
  /** Most tokens of an answer; null where a system of its own made them. */
  readonly maxNewTokens: number | null;
  readonly device: string | null;
  readonly startedAt: Date;
  readonly wallMs: number;
  readonly code: { readonly version: string; readonly commit: string | null };
}

export interface LmEvalFiles {
  readonly results: string;
  readonly samples: readonly string[];
}

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/** As the harness names folders after models. */
const sanitized = (name: string): string => name.replace(/["<>:/|\\?*[\]]+/g, "__");

/** As it names files after the time: microseconds, no colons. */
const fileTime = (date: Date): string => `${date.toISOString().slice(0, -1).replaceAll(":", "-")}000`;

/**
 * Writes a run as lm-evaluation-harness's `--output_path DIR --log_samples` does:
 * `DIR/<model>/results_<time>.json` and, for each task, `samples_<task>_<time>.jsonl`. A task is what one kind of question
 * about one data set and K was answered with. The results come last.
 * @returns the files' paths
 */
export async function writeLmEval(directory: string, run: LmEvalRun, now = new Date()): Promise<LmEvalFiles> {
  const folder = join(directory, sanitized(run.model));
  const time = fileTime(now);
  const tasks = lmEvalTasks(run.lines, run.maxNewTokens);
  const samples: string[] = [];
  for (const { name, samples: own } of tasks) {
    const path = join(folder, `samples_${name}_${time}.jsonl`);
    await writeFileAtomically(path, own.map((sample) => `${JSON.stringify(sample)}\n`).join(""));
    samples.push(path);
  }
  const results = join(folder, `results_${time}.json`);
  await writeJsonAtomically(results, resultsOf(run, tasks));
  return { results, samples };
}

function resultsOf(run: LmEvalRun, tasks: readonly LmEvalTask[]): object {
  const byTask = <Value>(pick: (task: LmEvalTask) => Value) =>
    Object.fromEntries(tasks.map((task) => [task.name, pick(task)]));
  const { code, model, modelArgs, maxNewTokens, device, startedAt, wallMs } = run;
  return {
    results: byTask(({ results }) => results),
    group_subtasks: {},
    configs: byTask(({ config }) => config),
    versions: byTask(() => 1),
    "n-shot": byTask(() => 0),
    higher_is_better: byTask(({ higherIsBetter }) => higherIsBetter),
    "n-samples": byTask(({ samples }) => ({ original: samples.length, effective: samples.length })),
    config: {
      model: "seprog-native",
      model_args: { pretrained: model, ...modelArgs },
      batch_size: null,
      batch_sizes: [],
      device,
      use_cache: null,
      limit: null,
      bootstrap_iters: 0,
      gen_kwargs: maxNewTokens === null ? null : { max_gen_toks: maxNewTokens, do_sample: false },
      random_seed: null,
      numpy_seed: null,
      torch_seed: null,
      fewshot_seed: null,
    },
    git_hash: code.commit,
    date: startedAt.getTime() / 1000,
    pretty_env_info: `seprog-native ${code.version}, Node.js ${process.version}, ${process.platform} ${process.arch}`,
    transformers_version: "N/A",
    lm_eval_version: LM_EVAL_LAYOUT,
    upper_git_hash: null,
    task_hashes: byTask(({ samples }) => sha256(samples.map(hashesOf).join(""))),
    model_source: "seprog-native",
    model_name: model,
    model_name_sanitized: sanitized(model),
    system_instruction: null,
    system_instruction_sha: null,
    fewshot_as_multiturn: false,
    chat_template: null,
    chat_template_sha: null,
    total_evaluation_time_seconds: String(wallMs / 1000),
  };
}

const hashesOf = ({ doc_hash, prompt_hash, target_hash }: Sample): string =>
  doc_hash + prompt_hash + target_hash;
