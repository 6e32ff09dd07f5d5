/** Where a libtorch was found, in the order in which the places are tried. */
export type LibtorchSource = "SEPROG_LIBTORCH" | "LIBTORCH" | "vendor" | "cache" | "python";

export interface Libtorch {
  /** Folder that holds lib/ and include/. */
  readonly root: string;
  /** "2.10.0" */
  readonly version: string;
  readonly source: LibtorchSource;
  readonly hasCuda: boolean;
  /** Paths to preload, in this order. */
  readonly cpuLibraries: readonly string[];
  /** Paths to preload after them, only where a CUDA driver opens; empty in a CPU build. */
  readonly cudaLibraries: readonly string[];
}

/** A place that was passed over, and why. */
export interface PassedOver {
  readonly source: LibtorchSource;
  readonly directory: string;
  readonly problem: string;
}

export declare class LibtorchError extends Error {
  constructor(code: "NATIVE_NOT_FOUND" | "NATIVE_INCOMPATIBLE", message: string);
  readonly code: "NATIVE_NOT_FOUND" | "NATIVE_INCOMPATIBLE";
}

export declare const PINNED_VERSION: string;
export declare const SUPPORTED_RANGE: string;

export declare function isSupported(version: string): boolean;
export declare function cacheFolder(env?: NodeJS.ProcessEnv): string | null;
export declare function cachedLibtorchDir(env?: NodeJS.ProcessEnv): string | null;
export declare function vendoredLibtorchDir(packageRoot: string): string;
export declare function buildRecordPath(packageRoot: string): string;
export declare function inspectLibtorch(directory: string, source: LibtorchSource): Libtorch;
export declare function locateLibtorch(options: {
  readonly packageRoot: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Returns the reason to refuse a usable libtorch, or null to take it. */
  readonly accept?: (libtorch: Libtorch) => string | null;
}): { readonly libtorch: Libtorch | null; readonly tried: readonly PassedOver[] };
export declare function readBuildRecord(packageRoot: string): Libtorch | null;
export declare function libtorchForRun(options: {
  readonly packageRoot: string;
  readonly env?: NodeJS.ProcessEnv;
}): { readonly libtorch: Libtorch; readonly tried: readonly PassedOver[] };
