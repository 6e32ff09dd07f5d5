import { defineCommand } from "../command.js";
import { interruptible } from "../interrupt.js";
import {
  baseDtypeOption,
  dataOption,
  deterministicOption,
  deviceOption,
  microBatchOption,
  modelsOption,
  seedOption,
  setOption,
  suiteOption,
  threadsOption,
} from "../options.js";

export const train = defineCommand({
  command: "train",
  describe: "Train one editor of a suite and keep it in a folder",
  examples: [
    ["train --out editors/mine", "SEPROG as the bundled suite describes it, for its first data set"],
    ["train --out editors/mine --data mine.jsonl", "on your own edits"],
    ["train --out editors/short --set methods.seprog.training.steps=500", "with another option"],
  ],
  options: {
    suite: suiteOption,
    method: {
      type: "string",
      requiresArg: true,
      describe: "Which of the suite's methods (default: the first)",
    },
    dataset: { type: "string", requiresArg: true, describe: "Which of its data sets (default: the first)" },
    out: { type: "string", requiresArg: true, demandOption: true, describe: "Folder of the trained editor" },
    set: setOption,
    data: dataOption,
    models: modelsOption,
    "base-dtype": baseDtypeOption,
    device: deviceOption,
    threads: threadsOption,
    deterministic: deterministicOption,
    "micro-batch": microBatchOption,
    seed: seedOption,
    fresh: {
      type: "boolean",
      default: false,
      describe: "Do not go on from a checkpoint of a stopped training",
    },
  },
  run: async (args) => {
    const { engineChoice } = await import("../engine_choice.js");
    const { suiteFromArgs } = await import("../suite_args.js");
    const { trainFromSuite } = await import("../../bench/train_run.js");
    const { createProgress } = await import("../progress.js");
    const { duration } = await import("../../report/units.js");
    const suite = suiteFromArgs({
      ...args,
      microBatch: args["micro-batch"],
      baseDtype: args["base-dtype"],
    });
    const progress = createProgress();
    try {
      const trained = await interruptible((signal) =>
        trainFromSuite(suite, {
          methodName: args.method,
          dataset: args.dataset ?? suite.datasets[0]?.name,
          outDirectory: args.out,
          engine: engineChoice(args),
          fresh: args.fresh,
          signal,
          onEvent: (event) => progress.onEvent(event),
        }),
      );
      progress.close();
      const { steps, bestStep, bestLoss, wallMs } = trained.training;
      process.stdout.write(
        `Trained ${trained.methodName} in ${steps} steps (${duration(wallMs)}); best validation loss ${bestLoss.toFixed(4)} at step ${bestStep}\nEditor: ${args.out}\n`,
      );
      return 0;
    } finally {
      progress.close();
    }
  },
});
