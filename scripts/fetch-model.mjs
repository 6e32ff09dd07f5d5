#!/usr/bin/env node
// Fetches a public model: fetch-model.mjs NAME [--out DIR]. Behind `seprog-native models fetch`.
import path from "node:path";
import { parseArgs } from "node:util";
import { cachedModelDir, FETCHABLE_MODELS, FetchError, fetchModel } from "./lib/fetch-model.mjs";

const { values, positionals } = parseArgs({ allowPositionals: true, options: { out: { type: "string" } } });

try {
  const [name] = positionals;
  const model = FETCHABLE_MODELS[name];
  if (model === undefined)
    throw new FetchError(
      `expected one of ${Object.keys(FETCHABLE_MODELS).join(", ")} for \`model\` but received ${name}`,
    );
  const target = values.out === undefined ? cachedModelDir(model.name) : path.resolve(values.out);
  if (target === null) throw new FetchError("expected `--out DIR` where there is no home folder");
  await fetchModel({ model, target });
  console.log(
    [
      `${model.name}, a ${model.title} (${model.licence}): ${target}`,
      "",
      "As the encoder of edits, in a suite or an editor's config:",
      `  editEncoder: {source: directory, path: ${JSON.stringify(target)}}`,
    ].join("\n"),
  );
} catch (error) {
  if (!(error instanceof FetchError)) throw error;
  console.error(`seprog-native: ${error.code}: ${error.message}`);
  process.exitCode = 1;
}
