import { join } from "node:path";
import { planTarget, planTargetNames } from "../../profile/devices.js";
import { defineCommand } from "../command.js";
import { interruptible } from "../interrupt.js";
import {
  baseDtypeOption,
  dataOption,
  datasetsOption,
  deterministicOption,
  deviceOption,
  methodsOption,
  microBatchOption,
  modelsOption,
  seedOption,
  setOption,
  threadsOption,
} from "../options.js";
import { nameList, numberList, wholeNumber } from "../usage_error.js";

/** For options of so many tokens a row. */
const tokensOption = (option: string, rows: string, tokens: number) =>
  ({
    type: "number",
    requiresArg: true,
    default: tokens,
    coerce: wholeNumber(option, 1),
    describe: `With --shapes or --plan: tokens of every ${rows}`,
  }) as const;

export const profile = defineCommand({
  command: "profile [suite]",
  describe: "Measure time, memory and FLOPs of a training step and of inference, by method and phase",
  examples: [
    ["profile", "the methods of the suite baselines on zsRE and t5-mini, K = 64 and 128"],
    ["profile --methods seprog,mend --k 8 --repetitions 5", "a quick look at two methods"],
    ["profile --editors runs/baselines", "with the editors that a bench run has trained"],
    ["profile --shapes t5-large --methods seprog --k 64", "a large model of random weights, no download"],
    ["profile --k 64 --trace trace.json", "also when what ran, to be opened in ui.perfetto.dev"],
    ["profile --plan --device v100-32gb --shapes t5-large", "what would fit on a card you do not have"],
    ["profile --plan --device cpu:16gb --against runs/profile-baselines", "predicted against measured"],
    ["profile paper --models DIR --data DIR --k 64", "real checkpoints"],
  ],
  positionals: {
    suite: { type: "string", default: "baselines", describe: "A bundled suite's name or a YAML file" },
  },
  options: {
    out: { type: "string", requiresArg: true, describe: "Run folder (default: runs/profile-<suite's name>)" },
    k: {
      type: "string",
      requiresArg: true,
      default: "64,128",
      coerce: numberList("k", 1),
      describe: "Edits at once, separated by commas: any, whatever the suite's own",
    },
    methods: methodsOption,
    datasets: {
      ...datasetsOption,
      describe:
        "These data sets of the suite, separated by commas (default: zsre where the suite has it, else the first)",
    },
    editors: {
      type: "string",
      requiresArg: true,
      describe: "Folder of a bench run of this suite: its trained editors are used, its ES and DD told",
    },
    shapes: {
      type: "string",
      requiresArg: true,
      coerce: nameList,
      describe:
        "Models of random weights in place of the suite's, by size: t5-small … t5-11b, bart-base, bert-base, gpt2, …; a wrong name lists them",
    },
    "source-tokens": tokensOption("source-tokens", "input", 24),
    "target-tokens": tokensOption("target-tokens", "answer", 8),
    "edit-tokens": tokensOption("edit-tokens", "edit's text", 32),
    "warm-ups": {
      type: "number",
      requiresArg: true,
      default: 3,
      coerce: wholeNumber("warm-ups", 0),
      describe: "Discarded repetitions at the start of every round",
    },
    repetitions: {
      type: "number",
      requiresArg: true,
      default: 20,
      coerce: wholeNumber("repetitions", 1),
      describe: "Repetitions of every operation, over all rounds",
    },
    rounds: {
      type: "number",
      requiresArg: true,
      default: 5,
      coerce: wholeNumber("rounds", 1),
      describe: "Every cell is measured in so many processes; between two of them all others have their turn",
    },
    plan: {
      type: "boolean",
      default: false,
      describe: `Predict peaks for --device (${planTargetNames.join(", ")}) from sizes alone, and what fits`,
    },
    against: {
      type: "string",
      requiresArg: true,
      describe: "With --plan: a profile run to compare with; its very rows are planned",
    },
    set: setOption,
    data: dataOption,
    models: modelsOption,
    "base-dtype": baseDtypeOption,
    device: deviceOption,
    threads: threadsOption,
    deterministic: deterministicOption,
    seed: seedOption,
    "micro-batch": microBatchOption,
    trace: {
      type: "string",
      requiresArg: true,
      describe: "Write when what ran and what it held to this file, for Perfetto (ui.perfetto.dev)",
    },
    fresh: { type: "boolean", default: false, describe: "Measure every cell anew" },
  },
  run: async (args) => {
    const { engineChoice } = await import("../engine_choice.js");
    const { profileSuiteOf } = await import("../profile_args.js");
    const { runProfile } = await import("../profile_run.js");
    const { suite, tokens, shapes } = profileSuiteOf(args);
    if (args.plan) {
      const { runPlan } = await import("../plan_run.js");
      const target = planTarget(args.device);
      return interruptible((signal) =>
        runPlan(suite, {
          target,
          k: args.k,
          tokens,
          shapes,
          against: args.against,
          outFile: join(args.out ?? `runs/plan-${suite.name}-${target.name.replace(":", "-")}`, "plan.json"),
          signal,
        }),
      );
    }
    return interruptible((signal) =>
      runProfile(suite, {
        folder: args.out ?? `runs/profile-${suite.name}`,
        engine: engineChoice(args),
        k: args.k,
        ...(shapes && { shapes: { names: shapes, tokens } }),
        benchFolder: args.editors,
        warmUps: args["warm-ups"],
        repetitions: args.repetitions,
        rounds: args.rounds,
        fresh: args.fresh,
        traceFile: args.trace,
        signal,
      }),
    );
  },
});
