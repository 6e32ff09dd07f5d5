import type { TokenCodec } from "../../data/official_files.js";
import type { AnswerShare, DatasetStatistics } from "../../data/statistics.js";
import type { EditRecord, Split } from "../../data/types.js";
import { defineCommand } from "../command.js";
import { dataImport } from "./data_import.js";

export const data = defineCommand({
  command: "data [name]",
  describe:
    "List the data sets, or check and describe one: a bundled one, official files or your own JSON Lines file",
  examples: [
    ["data", "list the bundled data sets"],
    ["data counterfact --stats", "counts, lengths and overlap of the splits, and examples"],
    ["data zsre:FOLDER", "check the official zsRE files in a folder"],
    ["data mine.jsonl", "check your own edits; every bad line is named"],
    ["data mine.jsonl --stats --json", "the same figures for a program"],
    ["data import zsre_mend_eval.json --out mine.jsonl", "make such a file of what others published"],
  ],
  commands: [dataImport],
  positionals: {
    name: {
      type: "string",
      describe: "A bundled data set's name, NAME:FOLDER for official files, or a .jsonl file",
    },
  },
  options: {
    stats: {
      type: "boolean",
      default: false,
      describe: "Counts, lengths and overlap of the splits, and examples",
    },
    model: {
      type: "string",
      describe:
        "Base model whose tokenizer cuts the data, where official files are cut by tokens (wikipedia)",
    },
    json: { type: "boolean", default: false, describe: "Print JSON" },
  },
  run: async ({ name, stats, model, json }) => {
    const { DATASETS, loadDataset } = await import("../../data/registry.js");
    const print = (value: unknown): boolean => process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
    if (name === undefined) {
      const list = Object.entries(DATASETS).map(([key, { title, licence }]) => ({
        name: key,
        title,
        licence,
      }));
      if (json) print(list);
      else
        for (const entry of list)
          process.stdout.write(`${entry.name.padEnd(18)}${entry.title} (${entry.licence})\n`);
      return 0;
    }
    const dataset = await loadDataset(
      name,
      model === undefined ? {} : { tokenizer: await tokenizerOf(model) },
    );
    if (!stats) {
      const counts = Object.fromEntries(
        Object.entries(dataset.splits).map(([split, records]) => [split, records.length]),
      );
      if (json) print({ name: dataset.name, records: counts });
      else
        process.stdout.write(
          `${dataset.name}: ${Object.entries(counts)
            .map(([split, count]) => `${count} ${split}`)
            .join(", ")}\n`,
        );
      return 0;
    }
    const { datasetStatistics } = await import("../../data/statistics.js");
    const statistics = datasetStatistics(dataset);
    if (json) print(statistics);
    else process.stdout.write(statisticsText(statistics));
    return 0;
  },
});

async function tokenizerOf(model: string): Promise<TokenCodec> {
  const { resolveModel } = await import("../../config/paths.js");
  const { Tokenizer } = await import("../../tokenizers/tokenizer.js");
  return Tokenizer.load(resolveModel(model));
}

const SPLIT_ORDER: readonly Split[] = ["train", "validation", "test"];

function statisticsText({ name, splits, overlaps, examples }: DatasetStatistics): string {
  const of = (pick: (split: DatasetStatistics["splits"][Split]) => number, digits = 0): string[] =>
    SPLIT_ORDER.map((split) => pick(splits[split]).toFixed(digits));
  const rows: readonly (readonly [string, readonly string[]])[] = [
    ["", SPLIT_ORDER],
    ["records", of((split) => split.records)],
    ["groups", of((split) => split.groups)],
    ["relations", of((split) => split.relations)],
    ["with hard out-of-scope", of((split) => split.withHardOutOfScope)],
    ["with noisy rephrase", of((split) => split.withNoisyRephrase)],
    ["with rephrase", of((split) => split.withRephrase)],
    ["rephrases a record", of((split) => split.rephrasesPerRecord, 1)],
    ["entailed a record", of((split) => split.entailedPerRecord, 1)],
    ["distinct answers", of((split) => split.distinctAnswers)],
    ["most frequent answer", SPLIT_ORDER.map((split) => mostFrequent(splits[split].commonAnswers))],
    ["input, mean characters", of((split) => split.inputLength.mean, 1)],
    ["input, most characters", of((split) => split.inputLength.max)],
    ["answer, mean characters", of((split) => split.answerLength.mean, 1)],
  ];
  const table = rows.map(
    ([label, values]) => `${label.padEnd(26)}${values.map((value) => value.padStart(12)).join("")}`,
  );
  const shared = overlaps.map(
    ({ a, b, ...counts }) =>
      `${a} and ${b} share ${counts.sharedGroups} subjects, ${counts.sharedInputs} inputs; neighbours share ${counts.sharedNeighbourGroups} subjects`,
  );
  return [name, "", ...table, "", ...shared, "", ...examples.flatMap(exampleText), ""].join("\n");
}

/** The answer that a guess would be, and how often it is right. */
function mostFrequent([first]: readonly AnswerShare[]): string {
  if (first === undefined) return "–";
  const { answer, share } = first;
  const short = answer.length > 6 ? `${answer.slice(0, 5)}…` : answer;
  return `${short} ${Math.round(100 * share)} %`;
}

function exampleText(record: EditRecord): string[] {
  return [
    `${record.id}: ${record.x_e}`,
    `  ${record.x_loc === record.x_e ? `says ${record.y_loc[0] ?? "?"}, ` : ""}edit to ${record.y_e_options.slice(0, 3).join(" or ")}`,
    ...record.in_scope.slice(0, 2).map(({ x }) => `  also asked as: ${x}`),
    ...record.entailed.slice(0, 2).map(({ x, y }) => `  then follows: ${x} ${y}`),
    ...record.in_scope_noisy.slice(0, 1).map(({ x }) => `  behind noise: ${x}`),
    ...record.hard_out.slice(0, 1).map(({ x, y_gold }) => `  must stay: ${x} ${y_gold[0] ?? ""}`),
  ];
}
