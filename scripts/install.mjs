#!/usr/bin/env node
// The npm install script: finds or fetches libtorch, then builds the addons. An install must not fail for want of a
// compiler or a network (data, metrics and reports work without the addon), so it ends with exit 0 and one message,
// unless --strict asks for exit 1. `seprog-native build` runs it with --strict.
//
//   --strict           exit 1 when the engine could not be built
//   --force            build from scratch
//   --fetch            fetch the pinned libtorch into the cache even if another one is found
//   --json             end with one line of JSON: {"ok", "libtorch", "problem"}
//   --print-libtorch   print the folder of the libtorch that would be used, and stop
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { buildNative } from "./build-native.mjs";
import { findOrFetchLibtorch } from "./lib/fetch-libtorch.mjs";
import { locateLibtorch } from "./lib/libtorch.mjs";
import { aptPackages, MissingToolsError } from "./lib/toolchain.mjs";

const packageRoot = path.resolve(fileURLToPath(import.meta.url), "../..");
const log = (line) => console.log(line);

function report(error) {
  return [
    `seprog-native: the native engine is not built: ${error.message}.`,
    ...(error instanceof MissingToolsError
      ? [`  On Debian or Ubuntu: apt-get install ${aptPackages()}`]
      : []),
    "  A libtorch of your own can be named with SEPROG_LIBTORCH=FOLDER.",
    "  To try again: npx seprog-native build",
  ].join("\n");
}

async function main() {
  const flag = { type: "boolean", default: false };
  const { values } = parseArgs({
    options: { strict: flag, force: flag, fetch: flag, json: flag, "print-libtorch": flag },
  });
  if (values["print-libtorch"]) {
    const { libtorch, tried } = locateLibtorch({ packageRoot });
    for (const { source, directory, problem } of tried) console.error(`${source} ${directory}: ${problem}`);
    if (libtorch !== null) console.log(libtorch.root);
    process.exitCode = libtorch === null ? 1 : 0;
    return;
  }
  let outcome;
  try {
    const libtorch = await findOrFetchLibtorch({ packageRoot, forceFetch: values.fetch, log });
    await buildNative({ libtorch, clean: values.force, log });
    outcome = { ok: true, libtorch, problem: null };
  } catch (error) {
    console.error(report(error));
    outcome = { ok: false, libtorch: null, problem: error.message };
    if (values.strict) process.exitCode = 1;
  }
  if (values.json) console.log(JSON.stringify(outcome));
}

await main();
