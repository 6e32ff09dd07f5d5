import type { ProfileRecord } from "../../profile/record.js";
import type { Chart } from "../charts.js";
import { flatten } from "../content.js";
import { type Block, type ReportDocument, sections, tableBlock } from "../document.js";
import { memoryBars, timeBars } from "./bar_charts.js";
import { claimTable, judgedClaims } from "./claims.js";
import { costTable, ratioTable, scopeTable } from "./cost_tables.js";
import { editCostChart } from "./edit_cost_charts.js";
import { editCostTable, oneOffTable } from "./edit_costs.js";
import { frontCharts } from "./front_charts.js";
import { kCharts } from "./k_charts.js";
import { profileNotes } from "./notes.js";
import { phaseTables } from "./phase_tables.js";
import type { ProfileRun } from "./profile_run.js";
import { ratioChart } from "./ratio_charts.js";
import { receiptTable } from "./receipt_table.js";
import { type Setting, settingsOf } from "./settings.js";
import { timelineCharts } from "./timeline_charts.js";

/** All that the report of a profile run says. */
export function profileDocument(run: ProfileRun): ReportDocument {
  const { name, records, environment } = run;
  const settings = settingsOf(records);
  const atEveryK = <Item>(make: (setting: Setting, K: number) => Item | null): NonNullable<Item>[] =>
    settings.flatMap((setting) => setting.Ks.flatMap((K) => make(setting, K) ?? []));
  const charts = (all: readonly Chart[]): Block[] =>
    all.length > 0 ? [{ kind: "charts", charts: all }] : [];
  const notes = profileNotes(run);
  return {
    title: `Costs of ${name}`,
    subtitle: subtitleOf(settings),
    sections: sections(
      { heading: "The paper's claims", blocks: settings.flatMap(claimBlocks) },
      {
        heading: "Training and inference",
        blocks: [
          ...[...atEveryK(costTable), ...atEveryK(ratioTable)].map(tableBlock),
          ...charts(atEveryK(ratioChart)),
        ],
      },
      { heading: "Where the time goes", blocks: charts(atEveryK(timeBars).flat()) },
      { heading: "Where the memory goes", blocks: charts(atEveryK(memoryBars).flat()) },
      { heading: "Cost against K", blocks: charts(settings.flatMap(kCharts)) },
      { heading: "Edit success against cost", blocks: charts(atEveryK(frontCharts).flat()) },
      { heading: "In scope and out of scope", blocks: atEveryK(scopeTable).map(tableBlock) },
      {
        heading: "Cost of an edit",
        blocks: [
          ...atEveryK(editCostTable).map(tableBlock),
          ...charts(atEveryK(editCostChart)),
          ...atEveryK(oneOffTable).map(tableBlock),
        ],
      },
      { heading: "Every phase", blocks: records.map((record) => cellBlock(record, settings)) },
      { heading: "Notes", blocks: notes.length > 0 ? [{ kind: "list", items: notes }] : [] },
      { heading: "Receipts", blocks: records.length > 0 ? [tableBlock(receiptTable(records))] : [] },
      { heading: "Environment", blocks: [{ kind: "facts", facts: flatten(environment) }] },
    ),
  };
}

function subtitleOf(settings: readonly Setting[]): string {
  if (settings.length === 0) return "No cell could be profiled: the notes say why.";
  const methods = [...new Set(settings.flatMap((setting) => setting.methods))].join(", ");
  const Ks = [...new Set(settings.flatMap((setting) => setting.Ks))].toSorted((a, b) => a - b).join(", ");
  const where = settings.map(({ title }) => title).join("; ");
  return `What ${methods} cost at K = ${Ks} on ${where}: time, memory and operations of a training step and of inference, by phase.`;
}

function claimBlocks(setting: Setting): Block[] {
  const table = claimTable(setting);
  if (table === null) return [];
  const sentences = setting.Ks.flatMap((K) =>
    judgedClaims(setting, K).map(({ verdict, inWords }) => `K = ${K}, ${verdict}: ${inWords}.`),
  );
  return [tableBlock(table), { kind: "list", items: sentences }];
}

/** What one method costs in full, closed until somebody asks. */
function cellBlock(record: ProfileRecord, settings: readonly Setting[]): Block {
  const setting = settings.find(({ records }) => records.includes(record));
  const charts = timelineCharts(record);
  const place = settings.length > 1 && setting ? ` · ${setting.title}` : "";
  return {
    kind: "folded",
    title: `${record.method}, K = ${record.K}${place}`,
    blocks: [
      { kind: "facts", facts: cellFacts(record) },
      ...phaseTables(record).map(tableBlock),
      ...(charts.length > 0 ? [{ kind: "charts", charts } as const] : []),
    ],
  };
}

function cellFacts(record: ProfileRecord): (readonly [string, string])[] {
  const count = (value: number): string => value.toLocaleString("en");
  const { tokens, parameters } = record;
  return [
    [
      "tokens",
      `${count(tokens.edit)} of edits, ${count(tokens.source)} of inputs, ${count(tokens.target)} of targets`,
    ],
    [
      "parameters",
      `${count(parameters.model)} of the model${parameters.editor === null ? "" : `, ${count(parameters.editor)} of the editor`}`,
    ],
    ["editor", record.editor],
    ["repetitions", repetitionsText(record)],
  ];
}

function repetitionsText({ repetitions, warmUps, inScope: { rounds } }: ProfileRecord): string {
  return rounds === 1
    ? `${repetitions} after ${warmUps} to warm up`
    : `${repetitions} in ${rounds} rounds, each after ${warmUps} to warm up`;
}
