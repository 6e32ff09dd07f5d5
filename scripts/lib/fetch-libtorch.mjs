// Fetches the CPU part of the pinned libtorch with pip: download, check, unpack beside the target, rename. Either the
// whole target is there afterwards or nothing is.
import { spawn, spawnSync } from "node:child_process";
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
} from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import {
  cachedLibtorchDir,
  inspectLibtorch,
  LibtorchError,
  locateLibtorch,
  vendoredLibtorchDir,
} from "./libtorch.mjs";
import { isAlive } from "./lock.mjs";
import { MissingToolsError, missingBuildTools } from "./toolchain.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const DOWNLOAD_BYTES = 927e6;
const UNPACKED_BYTES = 491e6;
// pip keeps its temporary copy until the wheel is in place.
const PEAK_BYTES = 2 * DOWNLOAD_BYTES;
const MINIMUM_GLIBC = 2.28;
const PROGRESS_INTERVAL_MS = 3000;

// They pick the same wheels whatever Python runs pip: 3.8 and 3.9 would find no torch, others their own build. The
// torch wheel is manylinux_2_28, the CUDA ones manylinux2014.
const PIP_FLAGS = [
  ["--no-deps", "--no-cache-dir", "--disable-pip-version-check", "--progress-bar", "off", "--require-hashes"],
  [
    "--ignore-requires-python",
    "--python-version",
    "3.11",
    "--implementation",
    "cp",
    "--abi",
    "cp311",
    "--abi",
    "none",
  ],
  ["--only-binary=:all:", "--platform", "manylinux_2_28_x86_64", "--platform", "manylinux2014_x86_64"],
].flat();

function findPython(env) {
  let withoutPip = null;
  for (const python of ["python3", "python"]) {
    const version = spawnSync(python, ["-c", "import sys; sys.exit(sys.version_info < (3, 8))"], { env });
    if (version.status !== 0) continue;
    if (spawnSync(python, ["-m", "pip", "--version"], { env }).status === 0) return { python, withoutPip };
    withoutPip ??= python;
  }
  return { python: null, withoutPip };
}

/** What keeps a fetch from starting, each a phrase; empty when nothing does. */
export function fetchObstacles(env = process.env) {
  const obstacles = [];
  const { python, withoutPip } = findPython(env);
  if (python === null) {
    obstacles.push(
      withoutPip
        ? `pip for ${withoutPip}, to fetch libtorch`
        : "Python 3.8 or later with pip, to fetch libtorch",
    );
  }
  if (process.arch !== "x64") {
    obstacles.push(
      `a libtorch for ${process.arch} in SEPROG_LIBTORCH (the one that is fetched is for x86-64)`,
    );
  }
  const glibc = process.report.getReport().header.glibcVersionRuntime;
  if (!glibc || Number.parseFloat(glibc.replace(/^2\.(\d)$/, "2.0$1")) < MINIMUM_GLIBC) {
    obstacles.push(`glibc ${MINIMUM_GLIBC} or later (found ${glibc ?? "another C library"})`);
  }
  return obstacles;
}

function isWritable(directory) {
  try {
    mkdirSync(directory, { recursive: true });
    accessSync(directory, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * The user's cache, because it outlives node_modules and `npm ci` and serves every clone; the package's vendor/ where
 * there is no writable home.
 */
export function fetchTarget({ packageRoot, env = process.env }) {
  const cache = cachedLibtorchDir(env);
  return cache !== null && isWritable(path.dirname(cache)) ? cache : vendoredLibtorchDir(packageRoot);
}

function folderBytes(directory) {
  let bytes = 0;
  for (const entry of readdirSync(directory, { recursive: true })) {
    bytes += statSync(path.join(directory, entry), { throwIfNoEntry: false })?.size ?? 0;
  }
  return bytes;
}

/** Folders that a killed fetch left behind. */
function removeLeftovers(target) {
  const prefix = `${path.basename(target)}.partial-`;
  for (const name of readdirSync(path.dirname(target))) {
    if (name.startsWith(prefix) && !isAlive(Number(name.slice(prefix.length)))) {
      rmSync(path.join(path.dirname(target), name), { recursive: true, force: true });
    }
  }
}

/** Runs a command in its own process group and resolves to its output; `onTick` is called now and then. */
function runQuietly(command, args, { env, onTick, onStart }) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env, stdio: ["ignore", "pipe", "pipe"], detached: true });
    onStart(child);
    let output = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    child.stderr.on("data", (chunk) => (output += chunk));
    const timer = setInterval(onTick, PROGRESS_INTERVAL_MS);
    child.on("error", (error) => {
      clearInterval(timer);
      reject(error);
    });
    child.on("close", (status) => {
      clearInterval(timer);
      resolve({ status, output });
    });
  });
}

/** The line of pip's output that says why, without its colours. */
function reasonIn(output) {
  const lines = output
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character is what is removed
    .replace(/\u001b\[[0-9;]*m/g, "")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  const offline = lines.find((line) =>
    /NewConnectionError|ConnectTimeout|NameResolutionError|ProxyError/.test(line),
  );
  if (offline) return "no connection to the Python package index";
  const errors = lines.filter((line) => /^(ERROR|error)/.test(line));
  return (errors.at(0) ?? lines.at(-1) ?? "no output").replace(/^ERROR:\s*/, "");
}

/**
 * Downloads and unpacks into `target`, replacing a broken one. Throws LibtorchError NATIVE_NOT_FOUND; whatever happens,
 * signals included, no partial folder stays.
 */
export async function fetchLibtorch({ target, env = process.env, log = console.log }) {
  const parent = path.dirname(target);
  mkdirSync(parent, { recursive: true });
  removeLeftovers(target);
  const { bavail, bsize } = statfsSync(parent);
  if (bavail * bsize < PEAK_BYTES) {
    throw new LibtorchError(
      "NATIVE_NOT_FOUND",
      `expected ${(PEAK_BYTES / 1e9).toFixed(1)} GB free in ${parent} but found ${((bavail * bsize) / 1e9).toFixed(1)} GB`,
    );
  }
  const { python } = findPython(env);
  const partial = `${target}.partial-${process.pid}`;
  const wheels = path.join(partial, "wheels");
  const scratch = path.join(partial, "tmp");
  const unpacked = path.join(partial, "libtorch");

  let running = null;
  const clean = () => rmSync(partial, { recursive: true, force: true });
  const onSignal = (signal) => {
    try {
      if (running !== null) process.kill(-running.pid, "SIGKILL");
    } catch {
      // It has ended by itself.
    }
    clean();
    process.exit(signal === "SIGINT" ? 130 : 143);
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) process.on(signal, onSignal);
  const step = async (args, onTick) => {
    const result = await runQuietly(python, args, {
      // The download goes through a temporary file; /tmp may be a small memory disk.
      env: { ...env, TMPDIR: scratch, PIP_REQUIRE_VIRTUALENV: "0" },
      onTick,
      onStart: (child) => (running = child),
    });
    running = null;
    if (result.status !== 0) throw new LibtorchError("NATIVE_NOT_FOUND", reasonIn(result.output));
  };

  try {
    for (const directory of [wheels, scratch, unpacked]) mkdirSync(directory, { recursive: true });
    log(
      `seprog-native: fetching libtorch (${Math.round(DOWNLOAD_BYTES / 1e6)} MB, ${Math.round(UNPACKED_BYTES / 1e6)} MB are kept in ${target})`,
    );
    let shownMb = 0;
    const showProgress = () => {
      const mb = Math.round(Math.max(folderBytes(scratch), folderBytes(wheels)) / 1e6);
      if (mb !== shownMb) log(`seprog-native: ${mb} of ${Math.round(DOWNLOAD_BYTES / 1e6)} MB`);
      shownMb = mb;
    };
    const requirements = path.join(here, "libtorch-wheels.txt");
    await step(["-m", "pip", "download", ...PIP_FLAGS, "-d", wheels, "-r", requirements], showProgress);
    log("seprog-native: downloaded and checked against SHA-256; unpacking");
    await step([path.join(here, "unpack_wheels.py"), wheels, unpacked], () => {});
    inspectLibtorch(unpacked, "cache");
    publish(unpacked, target, partial);
  } finally {
    for (const signal of signals) process.removeListener(signal, onSignal);
    clean();
  }
}

function publish(unpacked, target, partial) {
  if (existsSync(target)) {
    try {
      // Another install has finished meanwhile: its result is as good.
      inspectLibtorch(target, "cache");
      return;
    } catch (error) {
      if (!(error instanceof LibtorchError)) throw error;
      renameSync(target, path.join(partial, "broken"));
    }
  }
  renameSync(unpacked, target);
}

/**
 * The libtorch to build against, fetched if none is there (or if `forceFetch`). Throws MissingToolsError with all
 * that a build lacks, at once, or an Error that says why the fetch failed.
 */
export async function findOrFetchLibtorch({ packageRoot, forceFetch = false, log = console.log }) {
  const { libtorch } = forceFetch ? { libtorch: null } : locateLibtorch({ packageRoot });
  const missing = [...missingBuildTools(), ...(libtorch === null ? fetchObstacles() : [])];
  if (missing.length > 0) throw new MissingToolsError(missing);
  if (libtorch !== null) {
    log(`seprog-native: found libtorch ${libtorch.version} (${libtorch.source}: ${libtorch.root})`);
    return libtorch;
  }
  const target = fetchTarget({ packageRoot });
  try {
    await fetchLibtorch({ target, log });
  } catch (error) {
    throw new Error(`libtorch could not be fetched: ${error.message}`);
  }
  return inspectLibtorch(target, target === vendoredLibtorchDir(packageRoot) ? "vendor" : "cache");
}
