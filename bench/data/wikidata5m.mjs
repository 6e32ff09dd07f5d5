#!/usr/bin/env node
// Loading Wikidata5m at its real size: generates files of its form and counts, and measures the loader on them.
// Needs `npm run build:ts` first.
//
//   node bench/data/wikidata5m.mjs generate FOLDER [--share 1]
//   node bench/data/wikidata5m.mjs measure FOLDER
import { createWriteStream, mkdirSync, statSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { filterWikidata5m, SLAG_RELATIONS } from "../../dist/data/datasets/wikidata5m_raw.js";
import { Rng } from "../../dist/data/random.js";
import { loadDataset } from "../../dist/data/registry.js";

/** Of the real files: lines of the three triple files, entities in them, entities with names, relations. */
const TRIPLES = { train: 20_614_279, valid: 5_163, test: 5_133 };
const ENTITIES = 4_594_485;
const NAMED_ENTITIES = 4_813_490;
const RELATIONS = 822;

/** Assumed: a quarter of the triples has one of SLAG's ten relations, about persons; a third of the entities are persons. */
const KEPT_SHARE = 0.25;
const PERSON_SHARE = 0.33;
const MAX_ID = 112_000_000;

const WORDS =
  "North,Saint,José,van der,river,Ōtomo,county,of the,Zürich,Anna,III,games,house,Müller,New,club".split(",");

async function writeLines(path, count, line) {
  const stream = createWriteStream(path);
  let text = "";
  for (let i = 0; i < count; i++) {
    text += line(i);
    if (text.length < 1 << 20) continue;
    if (!stream.write(text)) await new Promise((resolve) => stream.once("drain", resolve));
    text = "";
  }
  stream.end(text);
  await new Promise((resolve, reject) => stream.once("finish", resolve).once("error", reject));
}

async function generate(folder, share) {
  mkdirSync(folder, { recursive: true });
  const rng = Rng.fromSeed(5);
  const scaled = (count) => Math.max(1, Math.round(share * count));
  const [named, used] = [scaled(NAMED_ENTITIES), scaled(ENTITIES)];
  const step = Math.floor(MAX_ID / named);
  const entity = (i) => `Q${1 + i * step + ((i * 7) % step)}`;
  const name = () => Array.from({ length: 1 + rng.int(3) }, () => rng.pick(WORDS)).join(" ");
  await writeLines(join(folder, "wikidata5m_entity.txt"), named, (i) => {
    const names = Array.from({ length: 1 + rng.int(5) }, () => `${name()} ${i}`);
    return `${entity(i)}\t${names.join("\t")}\n`;
  });
  await writeLines(
    join(folder, "wikidata5m_relation.txt"),
    RELATIONS,
    (i) => `P${i + 1}\t${SLAG_RELATIONS[i] ?? `relation ${i}`}\tother name ${i}\tthird name ${i}\n`,
  );
  const persons = Math.floor(PERSON_SHARE * used);
  const triple = () => {
    const kept = rng.chance(KEPT_SHARE);
    const subject = rng.int(kept ? persons : used);
    const property = kept
      ? 1 + rng.int(SLAG_RELATIONS.length)
      : 1 + SLAG_RELATIONS.length + rng.int(RELATIONS - SLAG_RELATIONS.length);
    return `${entity(subject)}\tP${property}\t${entity(rng.int(used))}\n`;
  };
  for (const [split, count] of Object.entries(TRIPLES))
    await writeLines(join(folder, `wikidata5m_transductive_${split}.txt`), scaled(count), triple);
  for (const file of await readdir(folder)) console.log(file, statSync(join(folder, file)).size);
}

const seconds = (from) => (performance.now() - from) / 1000;
const peakMiB = () => Math.round(process.resourceUsage().maxRSS / 1024);

async function measure(folder) {
  const file = (name) => join(folder, `wikidata5m_${name}.txt`);
  const paths = {
    train: file("transductive_train"),
    validation: file("transductive_valid"),
    test: file("transductive_test"),
    entities: file("entity"),
    relations: file("relation"),
  };
  console.log(`Node.js and the modules alone: peak ${peakMiB()} MiB`);
  let from = performance.now();
  const splits = await filterWikidata5m(paths);
  console.log(`filtered in ${seconds(from).toFixed(1)} s: peak ${peakMiB()} MiB`);
  console.log(
    Object.entries(splits)
      .map(([split, facts]) => `${facts.length} ${split}`)
      .join(", "),
  );
  from = performance.now();
  const dataset = await loadDataset(`wikidata5m:${folder}`);
  const s = seconds(from);
  const rows = Object.values(TRIPLES).reduce((sum, count) => sum + count, 0);
  console.log(
    `loaded as a data set in ${s.toFixed(1)} s: ${Math.round(rows / s)} triples/s; peak ${peakMiB()} MiB`,
  );
  console.log(
    Object.entries(dataset.splits)
      .map(([split, records]) => `${records.length} ${split}`)
      .join(", "),
  );
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { share: { type: "string", default: "1" } },
});
const [what, folder] = positionals;
if (folder === undefined || !["generate", "measure"].includes(what)) {
  console.error("expected generate FOLDER [--share 1] or measure FOLDER");
  process.exit(2);
}
await (what === "generate" ? generate(folder, Number(values.share)) : measure(folder));
