import type { ImportCounts } from "../../data/importers/import_records.js";
import { IMPORT_FORMATS } from "../../data/importers/layout.js";
import { SPLITS } from "../../data/types.js";
import { defineCommand } from "../command.js";

export const dataImport = defineCommand({
  command: "import <file>",
  describe: "Make common records of a data file of EasyEdit, MEND or SLAG",
  examples: [
    ["data import counterfact-edit.json --out mine.jsonl", "the form is known by the first row"],
    [
      "data import filtered_wikidata5m_transductive_dev.jsonl --format slag --split validation --out mine.jsonl",
      "every record into one split",
    ],
  ],
  positionals: {
    file: { type: "string", demandOption: true, describe: "The data file: a JSON array or JSON Lines" },
  },
  options: {
    out: { type: "string", requiresArg: true, demandOption: true, describe: "The .jsonl file to write" },
    format: {
      type: "string",
      choices: IMPORT_FORMATS,
      requiresArg: true,
      describe: "Whose form it is (default: known by the first row)",
    },
    split: {
      type: "string",
      choices: SPLITS,
      requiresArg: true,
      describe: "Split of all records (default: by group, when the file is used)",
    },
    json: { type: "boolean", default: false, describe: "Print JSON" },
  },
  run: async ({ file, out, format, split, json }) => {
    const { mkdir } = await import("node:fs/promises");
    const { dirname } = await import("node:path");
    const { openImport } = await import("../../data/importers/import_records.js");
    const { LineFile } = await import("../../bench/line_file.js");
    const { layout, counts, records } = await openImport(file, { format, split });
    await mkdir(dirname(out), { recursive: true });
    await using lines = await LineFile.open(out);
    for await (const record of records()) await lines.write(record);
    await lines.complete();
    process.stdout.write(json ? countsJson(layout.title, counts) : countsText(layout.title, out, counts));
    return 0;
  },
});

function countsJson(title: string, { rows, records, leftOut, omitted }: ImportCounts): string {
  const report = {
    form: title,
    rows,
    records,
    leftOut: Object.fromEntries(leftOut),
    omitted: Object.fromEntries(omitted),
  };
  return `${JSON.stringify(report, null, 2)}\n`;
}

function countsText(title: string, out: string, { rows, records, leftOut, omitted }: ImportCounts): string {
  const list = (counts: ReadonlyMap<string, number>): string[] =>
    [...counts].map(([what, count]) => `  ${count} ${what}`);
  return [
    title,
    `${records} of ${rows} rows written to ${out}`,
    ...(leftOut.size > 0 ? ["rows left out:", ...list(leftOut)] : []),
    ...(omitted.size > 0 ? ["parts of rows that a record has no place for:", ...list(omitted)] : []),
    "",
  ].join("\n");
}
