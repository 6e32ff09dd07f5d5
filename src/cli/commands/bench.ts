import { defineCommand } from "../command.js";
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
  methodsOption,
  microBatchOption,
  modelsOption,
  seedOption,
  setOption,
  suiteOption,
  threadsOption,
} from "../options.js";
import { positiveNumber } from "../usage_error.js";

export const bench = defineCommand({
  command: "bench",
  describe: "Train or reuse editors, measure every cell of a suite, print the table, write a report",
  examples: [
    ["bench", "the bundled suite: SEPROG on t5-mini at K = 1 … 128, into runs/mini"],
    ["bench --retrain", "the same, but train the editors anew"],
    ["bench --set k=[1,10] --out runs/quick", "two K only"],
    ["bench --suite mine.yaml --jobs 2", "your own suite, two cells at once (disturbs the timings)"],
    ["bench --suite mini-full", "five data sets, SEPROG and its ablations"],
    ["bench --suite paper --models DIR --data DIR", "real checkpoints and official files; doctor lists them"],
    ["bench --suite baselines --methods seprog,mend --k 1,64", "a part of a suite"],
    ["bench --suite baselines --budget-minutes 20", "report what needs longer training, do not wait for it"],
    ["bench --data mine.jsonl", "your own edits in place of the bundled data sets"],
  ],
  options: {
    suite: suiteOption,
    out: { type: "string", requiresArg: true, describe: "Run folder (default: runs/<suite's name>)" },
    editors: {
      type: "string",
      requiresArg: true,
      describe: "Where trained editors are kept and looked for first (default: in the run folder)",
    },
    methods: methodsOption,
    datasets: datasetsOption,
    k: kOption,
    set: setOption,
    data: dataOption,
    models: modelsOption,
    "base-dtype": baseDtypeOption,
    device: devicesOption,
    threads: threadsOption,
    deterministic: deterministicOption,
    seed: seedOption,
    jobs: jobsOption,
    "micro-batch": microBatchOption,
    "memory-budget": memoryBudgetOption,
    cache: cacheOption,
    "budget-minutes": {
      type: "number",
      requiresArg: true,
      coerce: positiveNumber("budget-minutes"),
      describe:
        "Stop the training of an editor after so many minutes and report its cells as over budget; a larger budget goes on",
    },
    resume: { type: "boolean", default: true, describe: "Keep finished cells of the same configuration" },
    fresh: { type: "boolean", default: false, describe: "Measure every cell anew; trained editors stay" },
    retrain: {
      type: "boolean",
      default: false,
      describe: "Train the editors anew, and measure every cell with them",
    },
  },
  run: async (args) => {
    const { answeringChoice } = await import("../answering_choice.js");
    const { engineChoices } = await import("../engine_choice.js");
    const { suiteFromArgs } = await import("../suite_args.js");
    const { benchSuite } = await import("../suite_run.js");
    const { "base-dtype": baseDtype, "micro-batch": microBatch, "budget-minutes": budgetMinutes } = args;
    const suite = suiteFromArgs({ ...args, microBatch, baseDtype });
    return interruptible((signal) =>
      benchSuite(suite, {
        folder: args.out ?? `runs/${suite.name}`,
        ...engineChoices(args),
        answering: answeringChoice(args),
        ...(args.editors !== undefined && { editorsDirectory: args.editors }),
        ...(budgetMinutes !== undefined && { budgetMinutes }),
        fresh: args.fresh || !args.resume,
        retrain: args.retrain,
        signal,
      }),
    );
  },
});
