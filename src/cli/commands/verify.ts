import { defineCommand } from "../command.js";
import { interruptible } from "../interrupt.js";
import { nameList, wholeNumber } from "../usage_error.js";

export const verify = defineCommand({
  command: "verify <record>",
  describe: "Measure a record again from its run's files and say whether the outputs are the same",
  examples: [
    ["verify runs/mini/cells/seprog-zsre-K64-s0", "one cell"],
    ["verify runs/mini --cells seprog-zsre-K1-s0,seprog-zsre-K4-s0", "some cells of a run"],
    ["verify runs/mini --sample 3", "three cells of a run, drawn at random"],
    ["verify runs/profile-baselines", "every cell of a profile"],
  ],
  positionals: {
    record: {
      type: "string",
      demandOption: true,
      describe: "A cell's folder, its result.json or profile.json, or the folder of a run",
    },
  },
  options: {
    cells: {
      type: "string",
      requiresArg: true,
      coerce: nameList,
      describe: "Only these cells of the run, separated by commas",
    },
    sample: {
      type: "number",
      requiresArg: true,
      coerce: wholeNumber("sample", 1),
      describe: "Only so many cells of the run, drawn at random",
    },
    seed: {
      type: "number",
      requiresArg: true,
      default: 0,
      coerce: wholeNumber("seed", 0),
      describe: "Random seed of --sample",
    },
    editor: {
      type: "string",
      requiresArg: true,
      describe: "Folder of the trained editor (default: found by its fingerprint)",
    },
    editors: {
      type: "string",
      requiresArg: true,
      describe:
        "Where the run kept its editors (default: in its folder), or the bench run a profile had them from",
    },
  },
  run: async ({ record, cells, sample, seed, editor, editors }) => {
    const { verifyRecords } = await import("../../bench/verify_run.js");
    const { isProfile, verifyProfiles } = await import("../../profile/verify_profile.js");
    const { verdictText } = await import("../verdict_text.js");
    const { EXIT_FAILED } = await import("../program.js");
    const { createProgress } = await import("../progress.js");
    const progress = createProgress();
    try {
      const verdicts = await interruptible((signal) =>
        (isProfile(record) ? verifyProfiles : verifyRecords)({
          record,
          cells,
          sample,
          seed,
          editorDirectory: editor,
          editorsDirectory: editors,
          signal,
          onEvent: (event) => {
            if (event.type === "job") return progress.onEvent(event.event, event.label);
            progress.close();
            process.stdout.write(verdictText(event.verdict));
          },
        }),
      );
      return verdicts.every(({ same }) => same) ? 0 : EXIT_FAILED;
    } finally {
      progress.close();
    }
  },
});
