#!/usr/bin/env node
// Builds the core and its tests with sanitizers in a folder of their own and runs them: errors of memory and undefined
// behaviour, or races between threads. libtorch itself is not instrumented. Takes one full build.
// Usage: sanitize.mjs address|thread [--jobs N] [--build-only] [--filter FILTER] (of GoogleTest)
import { spawnSync } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { findOrFetchLibtorch } from "./lib/fetch-libtorch.mjs";
import { buildJobs, generator } from "./lib/toolchain.mjs";

const packageRoot = path.resolve(fileURLToPath(import.meta.url), "../..");
const suppressions = path.join(packageRoot, "cmake", "sanitizers");

// A resident size says nothing where freed memory is kept to be watched, and a peak of the heap nothing where blocks are
// padded.
const NOT_HERE = "Cycles.*";

const SANITIZERS = {
  address: {
    flags: "address,undefined",
    environment: {
      ASAN_OPTIONS: "strict_string_checks=1:detect_stack_use_after_return=1",
      LSAN_OPTIONS: `suppressions=${suppressions}/leak.supp:print_suppressions=0`,
      UBSAN_OPTIONS: "print_stacktrace=1",
    },
  },
  thread: {
    flags: "thread",
    environment: {
      TSAN_OPTIONS: `suppressions=${suppressions}/thread.supp:second_deadlock_stack=1`,
    },
  },
};

function run(command, args, env = {}) {
  const { status, signal, error } = spawnSync(command, args, {
    cwd: packageRoot,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, ...env },
  });
  if (error) throw new Error(`${command}: ${error.message}`);
  return signal ?? status;
}

/** A filter for each suite of the program. */
function testSuites(program, env) {
  const { status, stdout } = spawnSync(program, ["--gtest_list_tests", `--gtest_filter=-${NOT_HERE}`], {
    env: { ...process.env, ...env },
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`${program} could not list its tests`);
  return stdout.match(/^\S+\.(?=\s|$)/gm).map((suite) => `${suite}*`);
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      jobs: { type: "string" },
      "build-only": { type: "boolean", default: false },
      filter: { type: "string" },
    },
  });
  const sanitizer = SANITIZERS[positionals[0]];
  if (sanitizer === undefined || positionals.length !== 1)
    throw new Error(
      `expected ${Object.keys(SANITIZERS).join(" or ")} but received ${positionals.join(" ") || "nothing"}`,
    );
  const libtorch = await findOrFetchLibtorch({ packageRoot });
  const folder = path.join(packageRoot, "build", `sanitize-${positionals[0]}`);
  const options = {
    SEPROG_LIBTORCH: libtorch.root,
    SEPROG_SANITIZE: sanitizer.flags,
    SEPROG_TESTS: "ON",
  };
  const configured = run("cmake", [
    ...["-S", ".", "-B", folder, "-G", generator()],
    ...Object.entries(options).map(([name, value]) => `-D${name}=${value}`),
  ]);
  if (configured !== 0) throw new Error("cmake could not configure (see the lines above)");
  const built = run("cmake", [
    "--build",
    folder,
    "--target",
    "seprog_core_tests",
    "--parallel",
    values.jobs ?? String(buildJobs()),
  ]);
  if (built !== 0) throw new Error("the build failed (see the lines above)");
  if (values["build-only"]) return;

  const program = path.join(folder, "native", "seprog_core_tests");
  const environment = { OMP_WAIT_POLICY: "passive", ...sanitizer.environment };
  // A process a suite: a finding that ends the process costs the others nothing.
  const parts = values.filter === undefined ? testSuites(program, environment) : [values.filter];
  const failed = parts.filter((part) => {
    const outcome = run(program, [`--gtest_filter=${part}-${NOT_HERE}`, "--gtest_brief=1"], environment);
    if (outcome !== 0) console.log(`failed: ${part} (${outcome})`);
    return outcome !== 0;
  });
  console.log(`${positionals[0]}: ${parts.length - failed.length} passed, ${failed.length} failed`);
  process.exitCode = failed.length > 0 || parts.length === 0 ? 1 : 0;
}

try {
  await main();
} catch (error) {
  console.error(`seprog-native: ${error.message}`);
  process.exitCode = 1;
}
