import { defineCommand } from "../command.js";

const file = (describe: string) => ({ type: "string", requiresArg: true, describe }) as const;

export const report = defineCommand({
  command: "report <run> [other]",
  describe: "Write the reports of a finished run anew, or compare two runs",
  examples: [
    ["report runs/mini", "write runs/mini/report.md and report.html, print the table"],
    ["report runs/mini --svg picture.svg", "also write one picture of ES and DD against K"],
    ["report runs/profile-baselines --figures plots", "every plot of a profile as a picture of its own"],
    ["report runs/before runs/after --html change.html", "what changed beyond noise between two runs"],
  ],
  positionals: {
    run: { type: "string", demandOption: true, describe: "Folder of a run, as bench or profile writes it" },
    other: { type: "string", describe: "A later run of the same kind: compare the two" },
  },
  options: {
    out: file("Folder for the reports (default: the run's own)"),
    md: file("Write the Markdown to this file too"),
    html: file("Write the HTML to this file too"),
    csv: file("Write the figures to this file: one row a cell, a profile's phase or a compared figure"),
    svg: file("Write one picture to this file: ES and DD against K, or a profile's costs beside SEPROG's"),
    figures: file("Write every plot to this folder, each as an SVG of its own"),
    title: file("Title of the picture of --svg (default: the suite's name, or what is shown)"),
    ink: {
      type: "string",
      requiresArg: true,
      default: "#57606a",
      describe: "Colour of text and axes of pictures",
    },
  },
  run: async ({ run: folder, other, out, ...files }) => {
    const { compareReport, profileReport, runReport } = await import("../report_text.js");
    const { isProfileRun } = await import("../../report/profile/profile_run.js");
    const { writeFormats } = await import("../report_files.js");
    if (other !== undefined) {
      await writeFormats(await compareReport(folder, other), files);
      return 0;
    }
    const make = isProfileRun(folder) ? profileReport : runReport;
    await writeFormats(await make(folder, out ?? folder), files);
    return 0;
  },
});
