import { readdirSync } from "node:fs";
import { join } from "node:path";
import { loadCounterfactFacts } from "./counterfact_facts.mjs";
import { assignSplits, separateNeighbours } from "./counterfact_splits.mjs";
import { describeSources, sha256, toJsonLines, writeAsset } from "./write_assets.mjs";

const CASES = ["edit", "train", "val"].map((part) => `counterfact/counterfact-${part}.json`);

/** All files of a ParaRel folder as one digest: there are 80 small ones. */
function describeFolder(sources, folder) {
  const files = readdirSync(join(sources, folder)).filter((name) => name.endsWith(".jsonl"));
  const digests = describeSources(
    sources,
    files.sort().map((name) => `${folder}/${name}`),
  );
  return { file: `${folder}/*.jsonl`, files: files.length, sha256: sha256(JSON.stringify(digests)) };
}

const tally = (facts, keyOf) => {
  const counts = {};
  for (const fact of facts) counts[keyOf(fact)] = (counts[keyOf(fact)] ?? 0) + 1;
  return Object.fromEntries(Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1)));
};

export function buildCounterfact(sources, out) {
  const source = loadCounterfactFacts(sources);
  const facts = assignSplits(source.facts);
  const crossing = separateNeighbours(facts);
  writeAsset(out, "counterfact/facts.jsonl.gz", toJsonLines(facts));
  writeAsset(
    out,
    "counterfact/templates.json",
    `${JSON.stringify(Object.fromEntries(source.templates), null, 2)}\n`,
  );
  const manifest = {
    sources: [
      ...describeSources(sources, CASES),
      describeFolder(sources, "lama_trex/pararel/graphs_json"),
      describeFolder(sources, "lama_trex/pararel/trex_lms_vocab"),
    ],
    cases: source.caseCount,
    facts: facts.length,
    splits: tally(facts, (fact) => fact.split),
    relations: tally(facts, (fact) => fact.relation),
    droppedCases: Object.fromEntries(source.droppedCounts),
    neighbours: facts.filter((fact) => fact.locality).length,
    droppedNeighbours: {
      ...Object.fromEntries(source.removedLocalityCounts),
      "its subject belongs to another split": crossing,
    },
    rejectedPatterns: source.rejectedPatterns,
  };
  writeAsset(out, "counterfact/manifest.json", `${JSON.stringify(manifest, null, 2)}\n`);
  return manifest;
}
