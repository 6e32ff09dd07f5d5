import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import os from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { packageRoot } from "../config/paths.js";
import type { BuildInfo, DeviceInfo, MatmulBackend } from "../native/addon.js";

/** What the engine knows of itself; asked of a child process, so that the caller stays free of libtorch. */
export interface EngineFacts {
  readonly build: BuildInfo;
  readonly device: string;
  readonly deviceInfo: DeviceInfo | null;
  readonly threads: number;
  readonly matmul: MatmulBackend;
  readonly kernels: string;
}

/** What can be said of the machine without an engine. */
export interface Machine {
  readonly createdAt: string;
  readonly package: { readonly version: string; readonly commit: string | null };
  readonly node: string;
  readonly os: { readonly name: string; readonly kernel: string; readonly architecture: string };
  readonly cpu: { readonly model: string; readonly usableCores: number; readonly totalCores: number };
  readonly memoryBytes: number;
  /** Over 1, 5 and 15 minutes at the start. */
  readonly loadAverage: readonly number[];
}

/** `environment.json`: where figures were taken. Nothing in it names a person, a host or a folder. */
export interface Environment extends Machine {
  readonly device: {
    readonly name: string;
    readonly description: string;
    readonly computeCapability: string | null;
  };
  readonly threads: number;
  readonly libtorch: { readonly compiled: string; readonly loaded: string };
  readonly blas: string;
  /** The library of fp32 matrix products and why it was chosen. */
  readonly matmul: MatmulBackend;
  /** "fused" | "reference" (SEPROG_KERNELS). */
  readonly kernels: string;
  readonly cpuCapability: string;
  readonly compiler: string;
}

export function describeMachine({ version, commit } = codeVersion()): Machine {
  return {
    createdAt: new Date().toISOString(),
    package: { version, commit },
    node: process.version,
    os: { name: osName(), kernel: os.release(), architecture: os.arch() },
    cpu: {
      model: cpuModel(),
      usableCores: os.availableParallelism(),
      totalCores: os.cpus().length,
    },
    memoryBytes: os.totalmem(),
    loadAverage: os.loadavg().map((load) => Number(load.toFixed(2))),
  };
}

export function describeEnvironment(facts: EngineFacts): Environment {
  const { build } = facts;
  return {
    ...describeMachine({ version: build.version, commit: codeCommit() }),
    device: {
      name: facts.device,
      description: facts.deviceInfo?.description ?? "",
      computeCapability: facts.deviceInfo?.computeCapability ?? null,
    },
    threads: facts.threads,
    libtorch: { compiled: build.libtorchCompiled, loaded: build.libtorchLoaded },
    blas: build.blas,
    matmul: facts.matmul,
    kernels: facts.kernels,
    cpuCapability: build.cpuCapability,
    compiler: build.compiler,
  };
}

export const cpuModel = (): string => os.cpus()[0]?.model.trim() ?? "unknown";

/** The commit of a source checkout, with `+changes` where its code was changed since; null in an installed package. */
export function codeCommit(): string | null {
  if (!existsSync(join(packageRoot, ".git"))) return null;
  const git = (...args: string[]): string =>
    execFileSync("git", args, {
      cwd: packageRoot,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  try {
    const changed = git("status", "--porcelain", "--", "src", "native") !== "";
    return `${git("rev-parse", "HEAD")}${changed ? "+changes" : ""}`;
  } catch {
    return null;
  }
}

/** Version of the package and commit of the code, without an engine. */
export function codeVersion(): { readonly version: string; readonly commit: string | null } {
  const manifest = z
    .looseObject({ version: z.string() })
    .parse(JSON.parse(readFileSync(join(packageRoot, "package.json"), "utf8")));
  return { version: manifest.version, commit: codeCommit() };
}

function osName(): string {
  try {
    const name = /^PRETTY_NAME="?([^"\n]+)"?$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1];
    return name ?? os.type();
  } catch {
    return os.type();
  }
}
