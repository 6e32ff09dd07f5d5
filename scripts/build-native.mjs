#!/usr/bin/env node
// Builds the addons (and with --tests the core's tests) against a libtorch that is already there; install.mjs is the one
// that fetches. Usage: build-native.mjs [--tests] [--jobs N] [--clean]
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { buildRecordPath, locateLibtorch } from "./lib/libtorch.mjs";
import { withLock } from "./lib/lock.mjs";
import { buildJobs, generator, MissingToolsError, missingBuildTools } from "./lib/toolchain.mjs";

export const packageRoot = path.resolve(fileURLToPath(import.meta.url), "../..");
// Not build/ itself: node-gyp, the second door, wipes that one.
const buildDir = path.join(packageRoot, "build", "native");
const stampFile = path.join(buildDir, "seprog-configuration.json");

export class BuildError extends Error {
  name = "BuildError";
}

function cmakeJs(args) {
  const entry = path.join(
    path.dirname(createRequire(import.meta.url).resolve("cmake-js/package.json")),
    "bin",
    "cmake-js",
  );
  const run = spawnSync(process.execPath, [entry, ...args, "--log-level", "warn"], {
    cwd: packageRoot,
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (run.status !== 0) {
    throw new BuildError(`the native build failed (cmake-js ${args[0]}, see the lines above)`);
  }
}

function writeJson(file, value) {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(`${file}.tmp`, `${JSON.stringify(value, null, 2)}\n`);
  renameSync(`${file}.tmp`, file);
}

/**
 * Configures when anything that configures changed, builds, and records the libtorch beside the addon.
 * Throws MissingToolsError or BuildError.
 */
export async function buildNative({
  libtorch,
  tests = false,
  jobs = buildJobs(),
  clean = false,
  log = console.log,
}) {
  const missing = missingBuildTools();
  if (missing.length > 0) throw new MissingToolsError(missing);

  const lockFile = path.join(packageRoot, "build", "native.lock");
  const waiting = (pid) => log(`seprog-native: waiting for another build of this folder (process ${pid})`);
  await withLock(lockFile, async () => build({ libtorch, tests, jobs, clean, log }), waiting);
}

function build({ libtorch, tests, jobs, clean, log }) {
  const startMs = performance.now();
  const previous = existsSync(stampFile) ? JSON.parse(readFileSync(stampFile, "utf8")) : null;
  const place = { packageRoot, generator: generator(), compiler: process.env.CXX ?? "" };
  // cmake refuses to reuse a cache made at another place, by another generator or for another compiler.
  const samePlace = previous !== null && JSON.stringify(previous.place) === JSON.stringify(place);
  if (clean || (existsSync(buildDir) && !samePlace)) rmSync(buildDir, { recursive: true, force: true });

  // Once on, the tests stay in the configuration: turning them off would only cost a reconfiguration.
  const withTests = tests || (samePlace && !clean && previous.tests);
  const stamp = { place, libtorch: libtorch.root, tests: withTests };
  const common = ["-O", buildDir, "-G", place.generator];
  if (clean || JSON.stringify(previous) !== JSON.stringify(stamp)) {
    log(`seprog-native: configuring against libtorch ${libtorch.version} (${libtorch.root})`);
    const options = [`--CDSEPROG_LIBTORCH=${libtorch.root}`, `--CDSEPROG_TESTS=${withTests ? "ON" : "OFF"}`];
    cmakeJs(["configure", ...common, ...options]);
    writeJson(stampFile, stamp);
  }
  log(`seprog-native: compiling with ${jobs} jobs`);
  cmakeJs(["build", ...common, "-p", String(jobs)]);
  // By copy and rename: a failed or killed build leaves the previous addon whole, and a running process keeps its own.
  for (const addon of ["seprog_preload.node", "seprog_native.node"]) {
    const target = path.join(path.dirname(buildRecordPath(packageRoot)), addon);
    mkdirSync(path.dirname(target), { recursive: true });
    copyFileSync(path.join(buildDir, "addons", addon), `${target}.tmp`);
    renameSync(`${target}.tmp`, target);
  }
  writeJson(buildRecordPath(packageRoot), libtorch);
  log(`seprog-native: built in ${((performance.now() - startMs) / 1000).toFixed(0)} s`);
}

async function main() {
  const { values } = parseArgs({
    options: {
      tests: { type: "boolean", default: false },
      jobs: { type: "string" },
      clean: { type: "boolean", default: false },
    },
  });
  const { libtorch, tried } = locateLibtorch({ packageRoot });
  if (libtorch === null) {
    const places = tried.map(({ source, problem }) => `  ${source}: ${problem}`).join("\n");
    throw new BuildError(`no usable libtorch found; \`node scripts/install.mjs\` fetches one\n${places}`);
  }
  const jobs = values.jobs === undefined ? buildJobs() : Number(values.jobs);
  if (!Number.isInteger(jobs) || jobs < 1) {
    throw new BuildError(`expected a positive integer for \`--jobs\` but received ${values.jobs}`);
  }
  await buildNative({ libtorch, tests: values.tests, jobs, clean: values.clean });
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    await main();
  } catch (error) {
    console.error(`seprog-native: ${error.message}`);
    process.exitCode = 1;
  }
}
