// What a native build needs from the machine, and the words for what is missing.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";

const MINIMUM_GCC = 10;
const MINIMUM_CMAKE = [3, 18];
// The precompiled header of libtorch alone takes this much for each compiler process.
const COMPILER_PEAK_BYTES = 1.3e9;

/** What a build needs, by Debian's and Ubuntu's names. */
export function aptPackages() {
  const list = readFileSync(new URL("apt-packages.txt", import.meta.url), "utf8");
  return list.match(/^build: (.*)$/m)[1];
}

/** First line of `command args` or null when it does not run. */
export function probe(command, args = ["--version"]) {
  const run = spawnSync(command, args, { encoding: "utf8", timeout: 30_000 });
  return run.status === 0 ? (run.stdout.split("\n")[0]?.trim() ?? "") : null;
}

/** Returns the problems, each a phrase; an empty list means that a build can start. */
export function missingBuildTools(env = process.env) {
  const problems = [];
  const compiler = env.CXX || ["c++", "g++", "clang++"].find((name) => probe(name) !== null);
  if (!compiler || probe(compiler) === null) {
    problems.push("a C++ compiler (g++ 10 or later, or clang++)");
  } else if (/g\+\+|GCC/i.test(probe(compiler) ?? "")) {
    const version = probe(compiler, ["-dumpfullversion"]) ?? probe(compiler, ["-dumpversion"]) ?? "";
    if (Number.parseInt(version, 10) < MINIMUM_GCC)
      problems.push(`g++ ${MINIMUM_GCC} or later (found ${version})`);
  }
  const cmake = probe("cmake")?.match(/(\d+)\.(\d+)/);
  if (!cmake) {
    problems.push("cmake 3.18 or later");
  } else if (Number(cmake[1]) * 1000 + Number(cmake[2]) < MINIMUM_CMAKE[0] * 1000 + MINIMUM_CMAKE[1]) {
    problems.push(`cmake 3.18 or later (found ${cmake[0]})`);
  }
  if (probe("ninja") === null && probe("make") === null) problems.push("make or ninja");
  return problems;
}

export function generator() {
  return probe("ninja") === null ? "Unix Makefiles" : "Ninja";
}

/** As many compilers as there are cores, and as memory can hold. */
export function buildJobs() {
  const available =
    Number(readFileSync("/proc/meminfo", "utf8").match(/^MemAvailable:\s+(\d+)/m)?.[1] ?? 0) * 1024;
  return Math.max(1, Math.min(availableParallelism(), Math.floor(available / COMPILER_PEAK_BYTES)));
}

/** Something the machine lacks and a package manager can bring. */
export class MissingToolsError extends Error {
  name = "MissingToolsError";

  constructor(missing) {
    super(`missing: ${missing.join("; ")}`);
  }
}
