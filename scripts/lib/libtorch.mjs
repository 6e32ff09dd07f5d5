// Finds the libtorch to build against and, at run time, the one to load. Imported by the install scripts and by
// src/native, so it needs nothing but Node. Types: libtorch.d.mts.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";

export const PINNED_VERSION = "2.10.0";
export const SUPPORTED_RANGE = "2.10 to 2.14";

const REPAIR = "Run `npx seprog-native build`";

export class LibtorchError extends Error {
  constructor(code, message) {
    super(message);
    this.name = "LibtorchError";
    this.code = code;
  }
}

/** Major and minor of "2.10.0+cu128" as one comparable number. */
function minorKey(version) {
  const [major, minor] = version.split(".").map(Number);
  return major * 1000 + minor;
}

export function isSupported(version) {
  const key = minorKey(version);
  return key >= 2010 && key <= 2014;
}

/** The user's cache, which outlives `npm ci` and serves every clone; null without a home folder. */
export function cacheFolder(env = process.env) {
  let base = env.XDG_CACHE_HOME;
  if (!base || !path.isAbsolute(base)) {
    const home = env.HOME ?? homedir();
    base = home ? path.join(home, ".cache") : "";
  }
  return base ? path.join(base, "seprog-native") : null;
}

/** Where a fetched libtorch is kept; null without a home folder. */
export function cachedLibtorchDir(env = process.env) {
  const cache = cacheFolder(env);
  return cache === null ? null : path.join(cache, `libtorch-${PINNED_VERSION}`);
}

export function vendoredLibtorchDir(packageRoot) {
  return path.join(packageRoot, "vendor", "libtorch");
}

export function buildRecordPath(packageRoot) {
  return path.join(packageRoot, "build", "Release", "libtorch.json");
}

function readVersion(root) {
  for (const header of ["torch/headeronly/version.h", "torch/csrc/api/include/torch/version.h"]) {
    const file = path.join(root, "include", header);
    if (!existsSync(file)) continue;
    const text = readFileSync(file, "utf8");
    const parts = ["MAJOR", "MINOR", "PATCH"].map(
      (part) => text.match(new RegExp(`^#define TORCH_VERSION_${part} (\\d+)`, "m"))?.[1],
    );
    if (parts.every((part) => part !== undefined)) return parts.join(".");
  }
  return null;
}

/**
 * Describes the libtorch in `directory` (which holds lib/ and include/, or a torch/ that does, as site-packages do).
 * Throws NATIVE_NOT_FOUND when it is none, NATIVE_INCOMPATIBLE when its version is outside the supported range.
 */
export function inspectLibtorch(directory, source) {
  const nested = path.join(directory, "torch");
  const candidate = existsSync(path.join(nested, "lib", "libtorch_cpu.so")) ? nested : directory;
  for (const required of ["lib/libc10.so", "lib/libtorch_cpu.so", "include/ATen/ATen.h"]) {
    if (!existsSync(path.join(candidate, required))) {
      throw new LibtorchError("NATIVE_NOT_FOUND", `${path.join(candidate, required)} does not exist`);
    }
  }
  const root = realpathSync(candidate);
  const version = readVersion(root);
  if (version === null) {
    throw new LibtorchError("NATIVE_NOT_FOUND", `${root}/include names no libtorch version`);
  }
  if (!isSupported(version)) {
    throw new LibtorchError(
      "NATIVE_INCOMPATIBLE",
      `expected libtorch ${SUPPORTED_RANGE} but received ${version} in ${root}`,
    );
  }
  const lib = (name) => path.join(root, "lib", name);
  const hasCuda = existsSync(lib("libtorch_cuda.so")) && existsSync(lib("libc10_cuda.so"));
  const libgomp = readdirSync(path.join(root, "lib")).find((name) => /^libgomp.*\.so/.test(name));
  return {
    root,
    version,
    source,
    hasCuda,
    // Dependencies first; never libtorch.so, which would pull in the CUDA part on a machine without a GPU.
    cpuLibraries: [lib("libc10.so"), ...(libgomp ? [lib(libgomp)] : []), lib("libtorch_cpu.so")],
    cudaLibraries: hasCuda ? [lib("libc10_cuda.so"), lib("libtorch_cuda.so")] : [],
  };
}

/** The folder of an importable Python `torch`, found without importing it; null when there is none. */
function pythonTorchDir(env) {
  const code =
    "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s and s.submodule_search_locations else '')";
  for (const python of ["python3", "python"]) {
    const run = spawnSync(python, ["-c", code], { env, encoding: "utf8", timeout: 30_000 });
    if (run.status === 0) return run.stdout.trim() || null;
  }
  return null;
}

/**
 * Looks in the documented order: SEPROG_LIBTORCH, LIBTORCH, the package's vendor/libtorch, the user's cache, Python.
 * An unusable SEPROG_LIBTORCH throws, since the user asked for exactly that one; any other place that is unusable is
 * noted in `tried` and passed over. `accept` may refuse a usable one by returning the reason.
 */
export function locateLibtorch({ packageRoot, env = process.env, accept = () => null }) {
  const tried = [];
  const attempt = (source, directory) => {
    if (!directory) return null;
    try {
      const libtorch = inspectLibtorch(directory, source);
      const refusal = accept(libtorch);
      if (refusal === null) return libtorch;
      throw new LibtorchError("NATIVE_INCOMPATIBLE", refusal);
    } catch (error) {
      if (!(error instanceof LibtorchError)) throw error;
      if (source === "SEPROG_LIBTORCH") {
        throw new LibtorchError(
          error.code,
          `expected a libtorch ${SUPPORTED_RANGE} for \`SEPROG_LIBTORCH\` but received ${directory}: ${error.message}`,
        );
      }
      tried.push({ source, directory, problem: error.message });
      return null;
    }
  };
  const places = [
    ["SEPROG_LIBTORCH", () => env.SEPROG_LIBTORCH],
    ["LIBTORCH", () => env.LIBTORCH],
    ["vendor", () => vendoredLibtorchDir(packageRoot)],
    ["cache", () => cachedLibtorchDir(env)],
    ["python", () => pythonTorchDir(env)],
  ];
  for (const [source, directory] of places) {
    const libtorch = attempt(source, directory());
    if (libtorch !== null) return { libtorch, tried };
  }
  return { libtorch: null, tried };
}

/** What the last native build recorded, or null before the first. */
export function readBuildRecord(packageRoot) {
  const file = buildRecordPath(packageRoot);
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : null;
}

/**
 * The libtorch to load with the built addon: SEPROG_LIBTORCH if set (so that a complete CUDA torch can be given at run
 * time), else the one it was built against, else any other place that has the same minor version.
 * Throws NATIVE_NOT_FOUND or NATIVE_INCOMPATIBLE.
 */
export function libtorchForRun({ packageRoot, env = process.env }) {
  const record = readBuildRecord(packageRoot);
  if (record === null) {
    throw new LibtorchError(
      "NATIVE_NOT_FOUND",
      `expected a native build in ${path.dirname(buildRecordPath(packageRoot))} but found none. ${REPAIR}`,
    );
  }
  const accept = (libtorch) =>
    minorKey(libtorch.version) === minorKey(record.version)
      ? null
      : `the addon was built against libtorch ${record.version} but this one is ${libtorch.version}. ${REPAIR}`;
  if (!env.SEPROG_LIBTORCH && existsSync(record.root)) {
    const libtorch = inspectLibtorch(record.root, record.source);
    if (accept(libtorch) === null) return { libtorch, tried: [] };
  }
  const result = locateLibtorch({ packageRoot, env, accept });
  if (result.libtorch !== null) return { libtorch: result.libtorch, tried: result.tried };
  throw new LibtorchError(
    "NATIVE_NOT_FOUND",
    `expected libtorch ${record.version} in ${record.root}, where the addon was built, but it is gone. ${REPAIR}`,
  );
}
