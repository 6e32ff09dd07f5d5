import { describe, expect, test } from "vitest";
import { type ElsewhereArgs, modeOf, scheduleOverrides } from "../../src/cli/evaluate_elsewhere.js";
import { UsageError } from "../../src/cli/usage_error.js";

const given = (args: Partial<ElsewhereArgs>): ElsewhereArgs => ({
  suite: "mini",
  set: [],
  device: "cpu",
  cache: true,
  ...args,
});

describe("what is evaluated", () => {
  test.each<[string, Partial<ElsewhereArgs>]>([
    ["editor", { editor: "a", "lm-eval": "out", "base-dtype": "bf16" }],
    ["edited", { edited: "a", model: "b", "out-of-scope": "zsre", k: [1, 2] }],
    ["edited", { edited: "a", questions: "q.jsonl" }],
    ["predictions", { predictions: "p.jsonl", questions: "q.jsonl", name: "them" }],
    ["questions-out", { "questions-out": "q.jsonl", schedule: "final", k: [8] }],
  ])("%s", (mode, args) => {
    expect(modeOf(given(args))).toBe(mode);
  });

  test.each<[Partial<ElsewhereArgs>, string]>([
    [{}, "say what to evaluate: exactly one of --editor, --edited, --predictions, --questions-out"],
    [{ editor: "a", edited: "b" }, "not --editor and --edited"],
    [{ predictions: "a.jsonl" }, "--predictions needs the file of --questions"],
    [{ editor: "a", questions: "q.jsonl" }, "--questions goes with --edited or --predictions alone"],
    [{ "questions-out": "q.jsonl", "lm-eval": "out" }, "--lm-eval goes with"],
    [{ edited: "a", "base-dtype": "bf16" }, "--base-dtype goes with --editor alone"],
    [{ edited: "a", questions: "q.jsonl", k: [2] }, "leave out --k and --schedule"],
    [{ edited: "a", questions: "q.jsonl", schedule: "final" }, "leave out --k and --schedule"],
  ])("%o is wrong usage", (args, message) => {
    expect(() => modeOf(given(args))).toThrow(UsageError);
    expect(() => modeOf(given(args))).toThrow(message);
  });
});

describe("--schedule", () => {
  test("stands for an option of the evaluation", () => {
    expect(scheduleOverrides("gap=4")).toEqual([
      {
        origin: "--schedule gap=4",
        path: ["evaluation", "sequential"],
        value: { schedule: "gap", gap: 4, editsPerStep: 1 },
      },
    ]);
    expect(scheduleOverrides(undefined)).toEqual([]);
    expect(scheduleOverrides("simultaneous")).toEqual([]);
  });

  test("that is none is refused", () => {
    expect(() => scheduleOverrides("now")).toThrow(/`--schedule` but received "now"/);
  });
});
