import { defineCommand } from "../command.js";
import { interruptible } from "../interrupt.js";
import {
  dataOption,
  deterministicOption,
  deviceOption,
  jobsOption,
  modelsOption,
  setOption,
  suiteOption,
  threadsOption,
} from "../options.js";

export const evaluate = defineCommand({
  command: "evaluate",
  describe: "Measure a trained editor at each K of a suite, whatever configuration it was trained with",
  examples: [
    ["evaluate --editor editors/mine", "on the data sets and K of the bundled suite"],
    ["evaluate --editor editors/mine --data mine.jsonl --set k=[1,8]", "on your own edits"],
  ],
  options: {
    editor: { type: "string", requiresArg: true, demandOption: true, describe: "Folder of a trained editor" },
    suite: suiteOption,
    out: {
      type: "string",
      requiresArg: true,
      describe: "Run folder (default: runs/evaluate-<editor's folder>)",
    },
    set: setOption,
    data: dataOption,
    models: modelsOption,
    device: deviceOption,
    threads: threadsOption,
    deterministic: deterministicOption,
    jobs: jobsOption,
    fresh: { type: "boolean", default: false, describe: "Measure every cell anew" },
  },
  run: async (args) => {
    const { engineChoice } = await import("../engine_choice.js");
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
    const suite = suiteFromArgs(args, [
      set(["methods"], { [methodName]: method }),
      set(["model"], model.name),
      set(["seeds"], [seed]),
      set(["text"], text),
    ]);
    return interruptible((signal) =>
      benchSuite(suite, {
        folder: args.out ?? `runs/evaluate-${basename(folder)}`,
        engine: engineChoice(args),
        jobs: args.jobs,
        fresh: args.fresh,
        retrain: false,
        editorDirectory: folder,
        signal,
      }),
    );
  },
});
