import { defineCommand } from "../command.js";
import { elsewhereOptions } from "../elsewhere_options.js";
import { interruptible } from "../interrupt.js";
import {
  baseDtypeOption,
  cacheOption,
  dataOption,
  datasetsOption,
  deterministicOption,
  devicesOption,
  jobsOption,
  kOption,
  memoryBudgetOption,
  modelsOption,
  setOption,
  suiteOption,
  threadsOption,
} from "../options.js";

export const evaluate = defineCommand({
  command: "evaluate",
  describe:
    "Measure a trained editor at each K of a suite, whatever configuration it was trained with, or what others made: model folders and answers",
  examples: [
    ["evaluate --editor editors/mine", "on the data sets and K of the bundled suite"],
    ["evaluate --editor editors/mine --data mine.jsonl --set k=[1,8]", "on your own edits"],
    ["evaluate --editor editors/mine --schedule gap=4 --lm-eval exported", "one edit after the other"],
    [
      "evaluate --edited my-edited-t5 --model t5-mini --data edits.jsonl --out-of-scope zsre",
      "a model folder edited elsewhere, against its base; edits.jsonl says which edits are in it",
    ],
    ["evaluate --questions-out questions.jsonl --k 10", "the edits and questions for any other system"],
    ["evaluate --predictions answers.jsonl --questions questions.jsonl", "what that system answered"],
    [
      "evaluate --predictions memit.jsonl --questions questions.jsonl --out runs/theirs",
      "and the same with rome.jsonl: systems side by side in one report",
    ],
  ],
  options: {
    ...elsewhereOptions,
    k: kOption,
    suite: suiteOption,
    out: {
      type: "string",
      requiresArg: true,
      describe: "Run folder (default: runs/evaluate-<editor's folder>)",
    },
    set: setOption,
    data: dataOption,
    datasets: datasetsOption,
    models: modelsOption,
    "base-dtype": baseDtypeOption,
    device: devicesOption,
    threads: threadsOption,
    deterministic: deterministicOption,
    jobs: jobsOption,
    "memory-budget": memoryBudgetOption,
    cache: cacheOption,
    fresh: { type: "boolean", default: false, describe: "Measure every cell anew" },
  },
  run: async (args) => {
    const { evaluateElsewhere, modeOf, scheduleOverrides } = await import("../evaluate_elsewhere.js");
    const mode = modeOf(args);
    if (mode !== "editor" || args.editor === undefined) return evaluateElsewhere(args, mode);
    const { exportRun } = await import("../export_run.js");
    const { answeringChoice } = await import("../answering_choice.js");
    const { engineChoices } = await import("../engine_choice.js");
    const { basename, resolve } = await import("node:path");
    const { suiteFromArgs } = await import("../suite_args.js");
    const { benchSuite } = await import("../suite_run.js");
    const { readTrained } = await import("../../training/trained_editors.js");
    const folder = resolve(args.editor);
    const { methodName, method, model, seed, text } = await readTrained(folder);
    const set = (path: readonly string[], value: unknown) => ({
      origin: `editor ${args.editor}`,
      path,
      value,
    });
    const suite = suiteFromArgs({ ...args, baseDtype: args["base-dtype"] }, [
      set(["methods"], { [methodName]: method }),
      set(["model"], model.name),
      set(["seeds"], [seed]),
      set(["text"], text),
      ...scheduleOverrides(args.schedule),
    ]);
    const run = args.out ?? `runs/evaluate-${basename(folder)}`;
    const startedAt = new Date();
    const status = await interruptible((signal) =>
      benchSuite(suite, {
        folder: run,
        ...engineChoices(args),
        answering: answeringChoice(args),
        fresh: args.fresh,
        retrain: false,
        editorDirectory: folder,
        signal,
      }),
    );
    await exportRun(run, {
      name: basename(folder),
      lmEval: args["lm-eval"],
      device: args.device,
      maxNewTokens: suite.datasets[0]?.evaluation.maxNewTokens ?? null,
      startedAt,
    });
    return status;
  },
});
