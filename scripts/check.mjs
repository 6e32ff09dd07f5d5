#!/usr/bin/env node
// `npm run check`: formatting and static analysis; runs every check and ends with exit 1 when one failed.
//
//   --tidy=changed|all|none   native files for clang-tidy (20 to 60 s each): those that differ from the main branch
//                             (default), all, or none
//
// A check whose tool is not installed fails, unless SEPROG_CHECK_ALLOW_MISSING=1.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { locateLibtorch } from "./lib/libtorch.mjs";
import { probe } from "./lib/toolchain.mjs";

const packageRoot = path.resolve(fileURLToPath(import.meta.url), "../..");
const tidyDir = path.join(packageRoot, "build", "tidy");

function run(command, args) {
  const { status, error } = spawnSync(command, args, {
    cwd: packageRoot,
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (error) console.error(`${command}: ${error.message}`);
  return status === 0;
}

/** Paths relative to the package. */
function nativeFiles() {
  return readdirSync(path.join(packageRoot, "native"), { recursive: true })
    .filter((file) => /\.(cpp|h)$/.test(file))
    .map((file) => path.join("native", file));
}

function git(...args) {
  const { status, stdout } = spawnSync("git", args, { cwd: packageRoot, encoding: "utf8" });
  return status === 0 ? stdout.split("\n").filter((line) => line !== "") : null;
}

/** Files that differ from the main branch; null where that cannot be known, for want of git. */
function changedFiles() {
  const base = git("merge-base", "HEAD", "origin/main")?.[0] ?? "HEAD";
  const differing = git("diff", "--name-only", base);
  const untracked = git("ls-files", "--others", "--exclude-standard");
  return differing === null || untracked === null ? null : new Set([...differing, ...untracked]);
}

const npmTool = (name) => path.join(packageRoot, "node_modules", ".bin", name);

function clangFormat() {
  return run("clang-format", ["--dry-run", "-Werror", ...nativeFiles()]);
}

/** clang cannot read g++'s precompiled header nor its OpenMP, so clang-tidy gets a configuration of its own. */
function configureTidy() {
  const { libtorch } = locateLibtorch({ packageRoot });
  if (libtorch === null) {
    console.error("clang-tidy: no libtorch found; `npx seprog-native build` fetches one");
    return false;
  }
  const cmakeJs = path.join(
    path.dirname(createRequire(import.meta.url).resolve("cmake-js/package.json")),
    "bin/cmake-js",
  );
  const options = [
    `SEPROG_LIBTORCH=${libtorch.root}`,
    "SEPROG_TESTS=ON",
    "CMAKE_DISABLE_PRECOMPILE_HEADERS=ON",
  ].map((option) => `--CD${option}`);
  return run(process.execPath, [cmakeJs, "configure", "-O", tidyDir, "--log-level", "warn", ...options]);
}

function clangTidy(which) {
  const changed = which === "changed" ? changedFiles() : null;
  const files = nativeFiles().filter(
    (file) => file.endsWith(".cpp") && (changed === null || changed.has(file)),
  );
  if (files.length === 0) return true;
  if (!configureTidy()) return false;
  const header = path.join(packageRoot, "native/core/pch.h");
  const extra = ["-fno-openmp", "-Wno-unknown-warning-option", "-include", header].flatMap((arg) => [
    `--extra-arg=${arg}`,
  ]);
  // preload.cpp knows no libtorch and so cannot take the common header.
  const plain = files.filter((file) => file.startsWith("native/preload/"));
  const withTorch = files.filter((file) => !plain.includes(file));
  return [
    ...withTorch.map((file) => () => run("clang-tidy", ["--quiet", "-p", tidyDir, ...extra, file])),
    ...plain.map((file) => () => run("clang-tidy", ["--quiet", "-p", tidyDir, file])),
  ]
    .map((check) => check())
    .every(Boolean);
}

const { values } = parseArgs({ options: { tidy: { type: "string", default: "changed" } } });
if (!["changed", "all", "none"].includes(values.tidy)) {
  console.error(`expected changed, all or none for \`--tidy\` but received ${values.tidy}`);
  process.exit(2);
}

const checks = [
  { name: "biome", work: () => run(npmTool("biome"), ["check", "--error-on-warnings"]) },
  { name: "tsc", work: () => run(npmTool("tsc"), ["--noEmit", "-p", "tsconfig.json"]) },
  { name: "clang-format", tool: "clang-format", work: clangFormat },
  ...(values.tidy === "none"
    ? []
    : [{ name: "clang-tidy", tool: "clang-tidy", work: () => clangTidy(values.tidy) }]),
];
const failed = [];
for (const { name, tool, work } of checks) {
  if (tool && probe(tool) === null) {
    const allowed = process.env.SEPROG_CHECK_ALLOW_MISSING === "1";
    console.error(`${name}: not run, ${tool} is not installed (Debian, Ubuntu: apt-get install ${tool})`);
    if (!allowed) failed.push(name);
  } else if (!work()) {
    failed.push(name);
  }
}
console.log(failed.length === 0 ? "all checks passed" : `failed: ${failed.join(", ")}`);
process.exitCode = failed.length === 0 ? 0 : 1;
