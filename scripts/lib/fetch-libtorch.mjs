// Fetches the CPU part of the pinned libtorch with pip: download, check, unpack beside the target, rename. Either the
// whole target is there afterwards or nothing is.
import { accessSync, constants, existsSync, mkdirSync, renameSync, statfsSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import {
  cachedLibtorchDir,
  inspectLibtorch,
  LibtorchError,
  locateLibtorch,
  vendoredLibtorchDir,
} from "./libtorch.mjs";
import { findPython, folderBytes, PIP_FLAGS, withPartialFolder } from "./pip.mjs";
import { MissingToolsError, missingBuildTools } from "./toolchain.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const DOWNLOAD_BYTES = 927e6;
const UNPACKED_BYTES = 491e6;
// pip keeps its temporary copy until the wheel is in place.
const PEAK_BYTES = 2 * DOWNLOAD_BYTES;
const MINIMUM_GLIBC = 2.28;

// They pick the same wheels whatever Python runs pip: 3.8 and 3.9 would find no torch, others their own build. The
// torch wheel is manylinux_2_28, the CUDA ones manylinux2014.
const WHEEL_FLAGS = [
  ["--python-version", "3.11", "--implementation", "cp", "--abi", "cp311", "--abi", "none"],
  ["--platform", "manylinux_2_28_x86_64", "--platform", "manylinux2014_x86_64"],
].flat();

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

/**
 * Downloads and unpacks into `target`, replacing a broken one. Throws LibtorchError NATIVE_NOT_FOUND; whatever happens,
 * signals included, no partial folder stays.
 */
export async function fetchLibtorch({ target, env = process.env, log = console.log }) {
  const parent = path.dirname(target);
  mkdirSync(parent, { recursive: true });
  const { bavail, bsize } = statfsSync(parent);
  if (bavail * bsize < PEAK_BYTES) {
    throw new LibtorchError(
      "NATIVE_NOT_FOUND",
      `expected ${(PEAK_BYTES / 1e9).toFixed(1)} GB free in ${parent} but found ${((bavail * bsize) / 1e9).toFixed(1)} GB`,
    );
  }
  const { python } = findPython(env);
  try {
    await withPartialFolder({ target, env }, async ({ partial, scratch, step }) => {
      const wheels = path.join(partial, "wheels");
      const unpacked = path.join(partial, "libtorch");
      for (const directory of [wheels, unpacked]) mkdirSync(directory);
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
      const download = [
        "-m",
        "pip",
        "download",
        ...PIP_FLAGS,
        ...WHEEL_FLAGS,
        "-d",
        wheels,
        "-r",
        requirements,
      ];
      await step(python, download, showProgress);
      log("seprog-native: downloaded and checked against SHA-256; unpacking");
      await step(python, [path.join(here, "unpack_wheels.py"), wheels, unpacked]);
      inspectLibtorch(unpacked, "cache");
      publish(unpacked, target, partial);
    });
  } catch (error) {
    throw error instanceof LibtorchError ? error : new LibtorchError("NATIVE_NOT_FOUND", error.message);
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
