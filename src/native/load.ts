/** Finds and loads the addon: first the chosen libtorch into the process, then the addon that needs it. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { type Libtorch, LibtorchError, libtorchForRun } from "../../scripts/lib/libtorch.mjs";
import { SeprogError } from "../errors.js";
import type { NativeAddon } from "./addon.js";

interface Preload {
  /** Opens each library, in order, for the whole process and for good. */
  preload(paths: readonly string[]): void;
  /** Begins the same beside the JavaScript thread; `preload` of the same paths waits for it. */
  startPreload(paths: readonly string[]): void;
  /** Whether the dynamic loader can open the library. */
  hasLibrary(name: string): boolean;
}

/** How libtorch came into this process. */
export interface LoadReport {
  /** The addon's own file. */
  readonly addonFile: string;
  readonly libtorch: Libtorch;
  /** Why its CUDA part was not loaded; null when it was. */
  readonly cudaProblem: string | null;
}

interface Loaded {
  readonly addon: NativeAddon;
  readonly report: LoadReport;
}

const require = createRequire(import.meta.url);
const packageRoot = fileURLToPath(new URL("../../", import.meta.url));
const REPAIR = "Run `npx seprog-native build`";

let loaded: Loaded | undefined;

/**
 * The addon, loaded on the first call.
 *
 * @throws SeprogError NATIVE_NOT_FOUND when it was not built or libtorch is gone; NATIVE_INCOMPATIBLE when it does not
 * fit this package, this libtorch or this machine. Both say what to do.
 */
export function loadAddon(): NativeAddon {
  loaded ??= load();
  return loaded.addon;
}

/**
 * Begins to open libtorch beside the JavaScript thread, for a program that is going to need it. Nothing is told: what is
 * wrong shows when the addon is loaded.
 */
export function startLoading(): void {
  try {
    const preload = requireAddon<Preload>(path.join(addonFolder(), "seprog_preload.node"));
    preload.startPreload(findLibtorch().cpuLibraries);
  } catch (error) {
    if (!(error instanceof SeprogError)) throw error;
  }
}

/** What loading found; loads if that has not happened. @throws as loadAddon */
export function loadReport(): LoadReport {
  loaded ??= load();
  return loaded.report;
}

function load(): Loaded {
  const folder = addonFolder();
  const libtorch = findLibtorch();
  const preload = requireAddon<Preload>(path.join(folder, "seprog_preload.node"));
  openLibraries(preload, libtorch.cpuLibraries);
  const cudaProblem = loadCuda(preload, libtorch);
  const addonFile = path.join(folder, "seprog_native.node");
  const addon = requireAddon<NativeAddon>(addonFile);
  checkVersions(addon);
  // libtorch's static objects are destroyed when the process exits; no engine may still be working then.
  process.on("exit", () => addon.shutdown());
  return { addon, report: { addonFile, libtorch, cudaProblem } };
}

function addonFolder(): string {
  const nodeGypBuild: { path(root: string): string } = require("node-gyp-build");
  try {
    return path.dirname(nodeGypBuild.path(packageRoot));
  } catch (error) {
    throw new SeprogError(
      "NATIVE_NOT_FOUND",
      `expected a native build in ${path.join(packageRoot, "build", "Release")} but found none. ${REPAIR}`,
      { cause: error },
    );
  }
}

function findLibtorch(): Libtorch {
  try {
    return libtorchForRun({ packageRoot }).libtorch;
  } catch (error) {
    if (error instanceof LibtorchError) throw new SeprogError(error.code, error.message, { cause: error });
    throw error;
  }
}

function openLibraries(preload: Preload, paths: readonly string[]): void {
  try {
    preload.preload(paths);
  } catch (error) {
    throw new SeprogError("NATIVE_NOT_FOUND", `${messageOf(error)}. ${REPAIR}`, { cause: error });
  }
}

/** A CUDA part that does not load leaves an engine for the CPU; `doctor` tells why. */
function loadCuda(preload: Preload, { cudaLibraries }: Libtorch): string | null {
  if (cudaLibraries.length === 0) return "this libtorch was built without CUDA";
  if (!preload.hasLibrary("libcuda.so.1")) return "no NVIDIA driver (libcuda.so.1 does not open)";
  try {
    preload.preload(cudaLibraries);
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

function requireAddon<T>(file: string): T {
  try {
    return require(file);
  } catch (error) {
    const code =
      error instanceof Error && "code" in error && error.code === "MODULE_NOT_FOUND"
        ? "NATIVE_NOT_FOUND"
        : "NATIVE_INCOMPATIBLE";
    throw new SeprogError(code, `expected to load ${file} but received: ${messageOf(error)}. ${REPAIR}`, {
      cause: error,
    });
  }
}

function checkVersions(addon: NativeAddon): void {
  const { version: wanted } = JSON.parse(readFileSync(path.join(packageRoot, "package.json"), "utf8"));
  const { version, libtorchCompiled, libtorchLoaded } = addon.buildInfo();
  if (version !== wanted) {
    throw new SeprogError(
      "NATIVE_INCOMPATIBLE",
      `expected an addon of version ${wanted} but received one of ${version}. ${REPAIR}`,
    );
  }
  const minor = (text: string): string => text.split(".").slice(0, 2).join(".");
  if (minor(libtorchCompiled) !== minor(libtorchLoaded)) {
    throw new SeprogError(
      "NATIVE_INCOMPATIBLE",
      `expected libtorch ${libtorchCompiled}, which the addon was built against, but ${libtorchLoaded} is loaded. ${REPAIR}`,
    );
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
