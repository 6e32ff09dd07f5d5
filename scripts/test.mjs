#!/usr/bin/env node
// `npm test`: builds what is out of date, runs the core's tests and every vitest tier, and ends with the plain line
// "N passed, N failed". Exit 1 when a test failed, a runner died or no test ran.
// Usage: npm test [-- --tier native --tier unit …] (native, unit, seam, golden, e2e; all by default)
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { buildNative } from "./build-native.mjs";
import { findOrFetchLibtorch } from "./lib/fetch-libtorch.mjs";

const packageRoot = path.resolve(fileURLToPath(import.meta.url), "../..");
const VITEST_TIERS = ["unit", "seam", "golden", "e2e"];
const TIERS = ["native", ...VITEST_TIERS];
// What asks a GPU asks the CPU here; scripts/gpu-proof.sh asks the GPU.
const ON_THE_CPU = { SEPROG_TEST_DEVICE: "cpu" };

function bin(name) {
  return path.join(packageRoot, "node_modules", ".bin", name);
}

function run(command, args, env = {}) {
  const { status, signal, error } = spawnSync(command, args, {
    cwd: packageRoot,
    stdio: ["ignore", "inherit", "inherit"],
    env: { OMP_WAIT_POLICY: "passive", ...process.env, ...env },
  });
  return { status, death: error?.message ?? signal };
}

/** A runner that ended badly without naming a failed test counts as one failure. */
function tally(name, { passed, failed, skipped }, { status, death }) {
  const died = death || (status !== 0 && failed === 0);
  if (died)
    console.error(`${name}: the runner ended with ${death ?? `status ${status}`} and named no failed test`);
  return { name, passed, failed: failed + (died ? 1 : 0), skipped };
}

function coreTests(scratch, program) {
  const report = path.join(scratch, `${program}.json`);
  const outcome = run(
    path.join(packageRoot, "build/native/native", program),
    [`--gtest_output=json:${report}`],
    ON_THE_CPU,
  );
  const counts = { passed: 0, failed: 0, skipped: 0 };
  if (existsSync(report)) {
    for (const suite of JSON.parse(readFileSync(report, "utf8")).testsuites) {
      for (const test of suite.testsuite) {
        if (test.failures?.length > 0) counts.failed++;
        else if (test.result === "COMPLETED") counts.passed++;
        else counts.skipped++;
      }
    }
  }
  return tally(program, counts, outcome);
}

function vitest(scratch, tiers) {
  const report = path.join(scratch, "vitest.json");
  const projects = tiers.flatMap((tier) => ["--project", tier]);
  const outcome = run(bin("vitest"), [
    "run",
    ...projects,
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${report}`,
  ]);
  const counts = { passed: 0, failed: 0, skipped: 0 };
  if (existsSync(report)) {
    for (const file of JSON.parse(readFileSync(report, "utf8")).testResults) {
      // A file that does not even load has no test to count.
      if (file.status === "failed" && file.assertionResults.length === 0) counts.failed++;
      for (const { status } of file.assertionResults) {
        if (status === "passed") counts.passed++;
        else if (status === "failed") counts.failed++;
        else counts.skipped++;
      }
    }
  }
  return tally("vitest", counts, outcome);
}

async function build(tiers) {
  if (tiers.some((tier) => tier !== "unit")) {
    const libtorch = await findOrFetchLibtorch({ packageRoot });
    await buildNative({ libtorch, tests: true });
  }
  const { status } = run(bin("tsc"), ["-p", "tsconfig.build.json"]);
  if (status !== 0) throw new Error("the TypeScript build failed (see the lines above)");
}

async function main() {
  const { values } = parseArgs({ options: { tier: { type: "string", multiple: true, default: TIERS } } });
  const unknown = values.tier.filter((tier) => !TIERS.includes(tier));
  if (unknown.length > 0) {
    throw new Error(`expected ${TIERS.join(", ")} for \`--tier\` but received ${unknown.join(", ")}`);
  }
  const results = [];
  const scratch = mkdtempSync(path.join(tmpdir(), "seprog-test-"));
  try {
    await build(values.tier);
    if (values.tier.includes("native")) {
      for (const program of [
        "seprog_core_tests",
        "seprog_heap_tests",
        "seprog_kernel_tests",
        "seprog_gpu_tests",
      ])
        results.push(coreTests(scratch, program));
    }
    const vitestTiers = VITEST_TIERS.filter((tier) => values.tier.includes(tier));
    if (vitestTiers.length > 0) results.push(vitest(scratch, vitestTiers));
  } catch (error) {
    console.error(`seprog-native: ${error.message}`);
    results.push({ name: "build", passed: 0, failed: 1, skipped: 0 });
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  const sum = (key) => results.reduce((total, result) => total + result[key], 0);
  for (const { name, passed, failed, skipped } of results) {
    console.log(`${name}: ${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
  }
  const skipped = sum("skipped");
  console.log(`${sum("passed")} passed, ${sum("failed")} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
  process.exitCode = sum("failed") > 0 || sum("passed") === 0 ? 1 : 0;
}

try {
  await main();
} catch (error) {
  console.error(`seprog-native: ${error.message}`);
  process.exitCode = 1;
}
