import { defineCommand } from "../command.js";

export const report = defineCommand({
  command: "report <run>",
  describe: "Write report.md and report.html of a finished run anew",
  examples: [
    ["report runs/mini", "write runs/mini/report.md and report.html, print the table"],
    ["report runs/mini --svg picture.svg", "also write one picture of ES and DD against K"],
  ],
  positionals: {
    run: { type: "string", demandOption: true, describe: "Folder of a run, as bench writes it" },
  },
  options: {
    out: { type: "string", requiresArg: true, describe: "Folder for the reports (default: the run's own)" },
    svg: {
      type: "string",
      requiresArg: true,
      describe: "Write one picture of ES and DD against K to this file",
    },
    title: {
      type: "string",
      requiresArg: true,
      describe: "Title of that picture (default: the suite's name)",
    },
    ink: {
      type: "string",
      requiresArg: true,
      default: "#57606a",
      describe: "Colour of text and axes of that picture",
    },
  },
  run: async ({ run: folder, out, svg, title, ink }) => {
    const { readRun } = await import("../../report/run_data.js");
    const { headlineSvg, writeReports } = await import("../../report/write.js");
    const { printTables } = await import("../result_table.js");
    const run = await readRun(folder);
    const paths = await writeReports(run, out ?? folder);
    printTables(run);
    process.stdout.write(`\nWrote ${paths.markdown} and ${paths.html}\n`);
    if (svg !== undefined) {
      const { writeFileAtomically } = await import("../../files.js");
      await writeFileAtomically(svg, await headlineSvg(run, title ?? run.summary.suite, ink));
      process.stdout.write(`Wrote ${svg}\n`);
    }
    return 0;
  },
});
