import type { ModelRecord } from "../../training/pretrain_model.js";
import { defineCommand } from "../command.js";
import { interruptible } from "../interrupt.js";
import { deviceOption, seedOption, setOption, threadsOption } from "../options.js";

export const pretrain = defineCommand({
  command: "pretrain <recipe>",
  describe: "Train a small base model from scratch on the facts of data sets or on passages of text",
  examples: [
    ["pretrain recipe.yaml --out models/mine", "make the model that the recipe describes"],
    ["pretrain recipe.yaml --out models/mine", "again after Ctrl-C: goes on where it stopped"],
    ["pretrain recipe.yaml --out models/try --set training.epochs=2", "with another option"],
  ],
  positionals: {
    recipe: { type: "string", demandOption: true, describe: "A recipe in YAML" },
  },
  options: {
    out: {
      type: "string",
      requiresArg: true,
      describe: "The model's folder (default: models/<recipe's name>)",
    },
    set: setOption,
    device: deviceOption,
    threads: threadsOption,
    seed: seedOption,
    fresh: { type: "boolean", default: false, describe: "Do not go on from a checkpoint of a stopped run" },
  },
  run: async (args) => {
    const { engineChoice } = await import("../engine_choice.js");
    const { resolve } = await import("node:path");
    const { rm } = await import("node:fs/promises");
    const { loadRecipe } = await import("../../config/load.js");
    const { parseOverrides } = await import("../../config/overrides.js");
    const { pretrainFromRecipe } = await import("../../bench/pretrain_run.js");
    const { createProgress } = await import("../progress.js");
    const { duration } = await import("../../report/units.js");
    const seed =
      args.seed === undefined ? [] : [{ origin: `--seed ${args.seed}`, path: ["seed"], value: args.seed }];
    const { recipe, directory } = loadRecipe(args.recipe, [...parseOverrides(args.set), ...seed]);
    const outDirectory = resolve(args.out ?? `models/${recipe.name}`);
    const workDirectory = `${outDirectory}.training`;
    const progress = createProgress();
    try {
      const record = await interruptible((signal) =>
        pretrainFromRecipe(recipe, engineChoice(args), {
          recipeDirectory: directory,
          outDirectory,
          workDirectory,
          resume: !args.fresh,
          signal,
          onEvent: (event) => progress.onEvent(event),
        }),
      );
      await rm(workDirectory, { recursive: true, force: true });
      progress.close();
      process.stdout.write(
        [
          `${record.name}: ${record.parameterCount.toLocaleString("en")} weights, ${record.training.steps} steps in ${duration(record.training.wallMs)}`,
          ...knowledgeText(record),
          `Model: ${outDirectory}`,
          "",
        ].join("\n"),
      );
      return 0;
    } finally {
      progress.close();
    }
  },
});

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

function knowledgeText({ recall, facts, wordings, accuracy, perplexity }: ModelRecord): string[] {
  const answers =
    recall === null
      ? []
      : [
          `It answers ${percent(recall.wordings)} of ${wordings} wordings, and ${percent(recall.facts)} of ${facts} facts in every wording.`,
        ];
  const unseen = (taught: boolean | number): string =>
    typeof taught === "number" && taught > 0 && taught < 1
      ? `, ${percent(taught)} of it taught`
      : taught
        ? ""
        : ", not taught";
  return [
    ...answers,
    ...accuracy.map(
      (one) =>
        `  ${one.dataset} ${one.split}${unseen(one.taught)}: ${percent(one.recall.wordings)} of ${one.wordings} wordings`,
    ),
    ...perplexity.map(
      (one) =>
        `Perplexity on the ${one.split} passages${unseen(one.taught)}: ${one.value.toFixed(1)} over ${one.tokens} tokens`,
    ),
  ];
}
