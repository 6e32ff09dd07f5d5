#!/usr/bin/env node
// Builds the embedded data sets of assets/data from the raw files. Same sources, same content.
// Needs `npm run build:ts` first.
//
//   node scripts/data/build.mjs --sources DIR [--out assets/data]
//
// DIR holds counterfact/, fever/, lama_trex/pararel/, leapofthought/, wikidata/, wikitext-103/ and zsre/ as docs/data.md lists them.
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { buildCounterfact } from "./build_counterfact.mjs";
import { buildFever } from "./build_fever.mjs";
import { buildLeapOfThought } from "./build_leapofthought.mjs";
import { buildWikidata5m } from "./build_wikidata5m.mjs";
import { buildWikipedia } from "./build_wikipedia.mjs";
import { buildZsre } from "./build_zsre.mjs";

const { values } = parseArgs({
  options: {
    sources: { type: "string" },
    out: { type: "string", default: fileURLToPath(new URL("../../assets/data", import.meta.url)) },
  },
});
if (values.sources === undefined) {
  console.error("expected --sources DIR [--out DIR]");
  process.exit(2);
}
console.log(JSON.stringify(buildCounterfact(values.sources, values.out), null, 2));
console.log(JSON.stringify(await buildZsre(values.sources, values.out), null, 2));
console.log(JSON.stringify(buildFever(values.sources, values.out), null, 2));
console.log(JSON.stringify(await buildLeapOfThought(values.sources, values.out), null, 2));
console.log(JSON.stringify(buildWikidata5m(values.sources, values.out), null, 2));
console.log(JSON.stringify(buildWikipedia(values.sources, values.out), null, 2));
