// The layout that lm-evaluation-harness writes with `--output_path --log_samples`; the lists of keys are those of its files.
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { AnswerLine } from "../../src/evaluation/answer_lines.js";
import { type LmEvalFiles, writeLmEval } from "../../src/report/lm_eval.js";

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

const line = (i: number, change: Partial<AnswerLine> = {}): AnswerLine => ({
  method: "mine",
  dataset: "zsre",
  K: 8,
  seed: 0,
  schedule: "simultaneous",
  episode: 0,
  edit: i,
  editId: `r${i}`,
  kind: "inScope",
  inScope: true,
  question: `Où est la maison ${i}?`,
  gold: [`Zürich ${i}`],
  base: "here",
  edited: i === 0 ? `Zürich ${i}` : "there",
  right: i === 0,
  matchesGold: i === 0,
  gate: { logit: i - 1.5, probability: 0.5, edit: i },
  teacherForced: true,
  ...change,
});
const outside = (i: number, right: boolean | null): AnswerLine =>
  line(i, { kind: "hard", inScope: false, right, matchesGold: false, gate: null, teacherForced: null });

const LINES = [line(0), line(1), line(2), line(3), outside(0, true), outside(1, false)];

let folder: string;
let files: LmEvalFiles;
const json = (path: string) => JSON.parse(readFileSync(path, "utf8"));
const samplesOf = (path: string | undefined) =>
  readFileSync(path ?? "", "utf8")
    .trimEnd()
    .split("\n")
    .map((text) => JSON.parse(text));

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "seprog-lm-eval-"));
  files = await writeLmEval(
    folder,
    {
      model: "models/my:editor",
      modelArgs: { base: "t5-mini" },
      lines: LINES,
      maxNewTokens: 32,
      device: "cpu",
      startedAt: new Date(0),
      wallMs: 1500,
      code: { version: "1.2.3", commit: "abc" },
    },
    new Date(Date.UTC(2026, 0, 2, 3, 4, 5, 6)),
  );
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("files", () => {
  test("one of results and one of samples a task, in a folder named after the model", () => {
    expect(readdirSync(folder)).toEqual(["models__my__editor"]);
    expect([files.results, ...files.samples].map((path) => basename(path))).toEqual([
      "results_2026-01-02T03-04-05.006000.json",
      "samples_zsre_k8_in_scope_2026-01-02T03-04-05.006000.jsonl",
      "samples_zsre_k8_hard_out_of_scope_2026-01-02T03-04-05.006000.jsonl",
    ]);
  });

  test("results have the harness's keys", () => {
    const results = json(files.results);
    expect(Object.keys(results)).toEqual([
      ...["results", "group_subtasks", "configs", "versions", "n-shot", "higher_is_better", "n-samples"],
      ...["config", "git_hash", "date", "pretty_env_info", "transformers_version", "lm_eval_version"],
      ...["upper_git_hash", "task_hashes", "model_source", "model_name", "model_name_sanitized"],
      ...["system_instruction", "system_instruction_sha", "fewshot_as_multiturn", "chat_template"],
      ...["chat_template_sha", "total_evaluation_time_seconds"],
    ]);
    expect(results).toMatchObject({
      versions: { zsre_k8_in_scope: 1 },
      "n-shot": { zsre_k8_in_scope: 0 },
      "n-samples": { zsre_k8_in_scope: { original: 4, effective: 4 } },
      model_name: "models/my:editor",
      model_name_sanitized: "models__my__editor",
      total_evaluation_time_seconds: "1.5",
    });
    const tasks = Object.keys(results.results);
    for (const part of ["configs", "versions", "n-shot", "higher_is_better", "n-samples", "task_hashes"])
      expect(Object.keys(results[part]), part).toEqual(tasks);
  });

  test("samples have the harness's keys, and a value for each metric they name", () => {
    const [sample] = samplesOf(files.samples[0]);
    expect(Object.keys(sample)).toEqual([
      ...["doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics"],
      ...["doc_hash", "prompt_hash", "target_hash"],
      ...sample.metrics,
    ]);
    expect(sample).toMatchObject({
      doc_id: 0,
      target: "Zürich 0",
      arguments: { gen_args_0: { arg_0: "Où est la maison 0?", arg_1: { do_sample: false } } },
      resps: [["Zürich 0"]],
      filtered_resps: ["Zürich 0"],
      filter: "none",
      edit_success: 1,
    });
    expect(sample.prompt_hash).toBe(sha256("Où est la maison 0?"));
    expect(sample.target_hash).toBe(sha256("Zürich 0"));
    expect(sample.doc_hash).toBe(sha256(JSON.stringify(sample.doc, null, 2)));
  });
});

describe("figures", () => {
  test("means and the harness's standard errors", () => {
    const { results, task_hashes: hashes, higher_is_better: higher } = json(files.results);
    expect(results.zsre_k8_in_scope).toEqual({
      name: "zsre_k8_in_scope",
      alias: "zsre_k8_in_scope",
      sample_len: 4,
      "edit_success,none": 0.25,
      // Sample deviation of 1, 0, 0, 0 over √4.
      "edit_success_stderr,none": 0.25,
      "edit_success_teacher_forced,none": 1,
      "edit_success_teacher_forced_stderr,none": 0,
      "gate_accuracy,none": 0.5,
      "gate_accuracy_stderr,none": Math.sqrt(1 / 3 / 4),
    });
    expect(higher.zsre_k8_hard_out_of_scope).toEqual({ drawdown: false, exact_match: true });
    const samples = samplesOf(files.samples[0]);
    expect(hashes.zsre_k8_in_scope).toBe(
      sha256(samples.map((one) => one.doc_hash + one.prompt_hash + one.target_hash).join("")),
    );
  });

  test("what is not known of every question is left out", async () => {
    const { samples, results } = await writeLmEval(join(folder, "other"), {
      ...{ model: "sys", modelArgs: {}, lines: [outside(0, null), outside(1, true)], maxNewTokens: null },
      ...{ device: null, startedAt: new Date(0), wallMs: 1, code: { version: "1", commit: null } },
    });
    expect(samplesOf(samples[0])[0].metrics).toEqual(["exact_match"]);
    expect(Object.keys(json(results).results.zsre_k8_hard_out_of_scope)).not.toContain("drawdown,none");
  });

  test("schedules and seeds are told apart by the task's name", async () => {
    const { samples } = await writeLmEval(join(folder, "more"), {
      ...{ model: "m", modelArgs: {}, maxNewTokens: 8, device: "cpu", startedAt: new Date(0), wallMs: 1 },
      lines: [line(0, { schedule: "gap=4" }), line(0, { schedule: "gap=4", seed: 1 })],
      code: { version: "1", commit: null },
    });
    expect(samples.map((path) => basename(path).split("_2")[0])).toEqual([
      "samples_zsre_k8_gap_4_seed0_in_scope",
      "samples_zsre_k8_gap_4_seed1_in_scope",
    ]);
    expect(
      json(samples[0]?.replace(/samples_.*_(?=2)/, "results_").replace("jsonl", "json") ?? "").results,
    ).toHaveProperty("zsre_k8_gap_4_seed0_in_scope.edit_success_stderr,none", "N/A");
  });
});
