#!/usr/bin/env node
// `npm run test:large`: the models of the paper at their real sizes, from files as the hub ships them, with random
// weights. Each test runs in a process of its own, so that the peak memory it prints is its own.
// Usage: npm run test:large [-- FILTER] (of GoogleTest, such as '*Bart*')
import { spawnSync } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { buildNative } from "./build-native.mjs";
import { findOrFetchLibtorch } from "./lib/fetch-libtorch.mjs";

const packageRoot = path.resolve(fileURLToPath(import.meta.url), "../..");
const buildDir = path.join(packageRoot, "build", "native");
const binary = path.join(buildDir, "native", "seprog_large_tests");
const env = { ...process.env, OMP_WAIT_POLICY: process.env.OMP_WAIT_POLICY ?? "passive" };

/** "Suite.Test" of every test that the filter takes. */
function testNames(filter) {
  const { status, stdout } = spawnSync(binary, ["--gtest_list_tests", `--gtest_filter=${filter}`], {
    env,
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`${binary} could not list its tests`);
  const names = [];
  let suite = "";
  for (const line of stdout.split("\n")) {
    const name = line.replace(/#.*/, "").trim();
    if (line.startsWith("  ")) names.push(suite + name);
    else if (name.endsWith(".")) suite = name;
  }
  return names;
}

async function main() {
  const libtorch = await findOrFetchLibtorch({ packageRoot });
  await buildNative({ libtorch, tests: true });
  const build = spawnSync("cmake", ["--build", buildDir, "--target", "seprog_large_tests"], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (build.status !== 0) throw new Error("the build of the large tests failed (see the lines above)");
  let failed = 0;
  const names = testNames(process.argv[2] ?? "*");
  for (const name of names) {
    const { status } = spawnSync(binary, [`--gtest_filter=${name}`, "--gtest_brief=1"], {
      env,
      stdio: ["ignore", "inherit", "inherit"],
    });
    if (status !== 0) failed++;
  }
  console.log(`${names.length - failed} passed, ${failed} failed`);
  process.exitCode = failed > 0 || names.length === 0 ? 1 : 0;
}

try {
  await main();
} catch (error) {
  console.error(`seprog-native: ${error.message}`);
  process.exitCode = 1;
}
