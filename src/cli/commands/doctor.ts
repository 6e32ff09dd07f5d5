import { readFileSync } from "node:fs";
import os from "node:os";
import { join } from "node:path";
import { bundledModels, packageRoot } from "../../config/paths.js";
import { SeprogError } from "../../errors.js";
import type { DeviceInfo } from "../../native/addon.js";
import { defineCommand } from "../command.js";
import { dataOption, modelsOption } from "../options.js";
import { EXIT_FAILED } from "../program.js";
import type { SuiteArgs } from "../suite_args.js";

/** What was looked at, in the order it is shown, and what is wrong with it. */
interface Finding {
  readonly what: string;
  readonly found: string;
  /** Why this is wrong and what to do; null when it is as it should be. */
  readonly problem: string | null;
}

export const doctor = defineCommand({
  command: "doctor",
  describe: "Check the installation: versions, libtorch, devices, and whether the engine computes right",
  examples: [
    ["doctor", "what is there, what is missing, and the command that repairs it"],
    ["doctor --suite paper --models DIR --data DIR", "also every model and file the suite needs"],
    ["doctor --json", "the same for a program"],
  ],
  options: {
    suite: { type: "string", requiresArg: true, describe: "Also check what this suite needs" },
    models: modelsOption,
    data: dataOption,
    json: { type: "boolean", default: false, describe: "Print JSON" },
  },
  run: async ({ suite, models, data, json }) => {
    const findings = [
      ...describeMachine(),
      ...(await describeEngine()),
      ...(suite === undefined ? [] : await describeSuite({ suite, set: [], models, data })),
    ];
    process.stdout.write(json ? `${JSON.stringify(findings, null, 2)}\n` : findingsText(findings));
    return findings.some(({ problem }) => problem !== null) ? EXIT_FAILED : 0;
  },
});

function findingsText(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ what }) => what.length)) + 2;
  const lines = findings.map(
    ({ what, found, problem }) => `${problem === null ? "✓" : "✗"} ${what.padEnd(width)}${found}`,
  );
  const problems = findings.flatMap(({ problem }) => problem ?? []);
  const verdict = problems.length === 0 ? ["", "All is well."] : ["", ...problems];
  return `${[...lines, ...verdict].join("\n")}\n`;
}

const fine = (what: string, found: string): Finding => ({ what, found, problem: null });

function describeMachine(): Finding[] {
  const manifest: { version: string } = JSON.parse(readFileSync(join(packageRoot, "package.json"), "utf8"));
  const cpus = os.cpus();
  const models = bundledModels();
  return [
    fine("seprog-native", `${manifest.version} in ${packageRoot}`),
    fine(
      "Node.js",
      `${process.version} (Node-API ${process.versions.napi}), ${os.type()} ${os.release()} ${os.arch()}`,
    ),
    fine(
      "processor",
      `${cpus[0]?.model.trim() ?? "unknown"}, ${os.availableParallelism()} of ${cpus.length} cores usable, ${(os.totalmem() / 1024 ** 3).toFixed(1)} GiB memory`,
    ),
    fine("base models", models.length === 0 ? "none bundled" : models.join(", ")),
  ];
}

async function describeSuite(args: SuiteArgs): Promise<Finding[]> {
  const { suiteNeeds } = await import("../suite_needs.js");
  const needs = await suiteNeeds(args);
  return needs.map(({ what, name, problem }) => ({
    what,
    found: name,
    problem: problem === null ? null : `${what}: ${problem.message}.`,
  }));
}

const FOUND_BY = {
  SEPROG_LIBTORCH: "named by SEPROG_LIBTORCH",
  LIBTORCH: "named by LIBTORCH",
  vendor: "the package's own vendor folder",
  cache: "fetched into your cache by the install",
  python: "the torch that your python3 imports",
} as const;

async function describeEngine(): Promise<Finding[]> {
  const { loadAddon, loadReport } = await import("../../native/load.js");
  const { kernelInfo } = await import("../../native/kernels.js");
  try {
    const { libtorch, cudaProblem } = loadReport();
    const addon = loadAddon();
    const build = addon.buildInfo();
    return [
      fine("libtorch", `${build.libtorchLoaded} in ${libtorch.root} (${FOUND_BY[libtorch.source]})`),
      fine("addon", `built against libtorch ${build.libtorchCompiled} by ${build.compiler}`),
      fine("BLAS", `${build.blas}; processor features used: ${build.cpuCapability}`),
      fine("CUDA", cudaProblem === null ? "loaded" : `not used: ${cudaProblem}`),
      ...addon.listDevices().map(describeDevice),
      ON_A_GPU,
      ...(await describeComputing()),
      ...describeKernels(kernelInfo()),
      describeSelfTest(addon.selfTest()),
    ];
  } catch (error) {
    if (!(error instanceof SeprogError)) throw error;
    return [{ what: "engine", found: error.code, problem: `${error.message.replace(/\.?$/, ".")}` }];
  }
}

/** What a run on a GPU rests on, whether there is one here or not. */
const ON_A_GPU = fine(
  "run on a GPU",
  "nothing of this package yet, by us: its GPU code was proven without one, see docs/cuda.md; scripts/gpu-proof.sh tries it on yours",
);

function describeDevice({ name, description, computeCapability, totalBytes, problem }: DeviceInfo): Finding {
  const memory = `${(totalBytes / 1024 ** 3).toFixed(1)} GiB`;
  const capability = computeCapability === null ? "" : `, compute capability ${computeCapability}`;
  return {
    what: name,
    found: `${description}, ${memory}${capability}`,
    problem: problem === null ? null : `${problem}.`,
  };
}

async function describeComputing(): Promise<Finding[]> {
  const { openEngine } = await import("../../native/engine.js");
  await using engine = await openEngine();
  const matmul = await engine.matmulBackend();
  return [
    fine("threads", `${engine.threads} for computing, on ${engine.device}`),
    fine(
      "matrices",
      `multiplied by ${matmul.name === "default" ? "libtorch's default" : matmul.name}: ${matmul.reason}`,
    ),
  ];
}

function describeKernels({
  policy,
  gpuCompiler,
}: {
  readonly policy: string;
  readonly gpuCompiler: string | null;
}): Finding[] {
  const found = fine(
    "kernels",
    policy === "fused" ? "fused" : "libtorch's own ops instead of the fused ones (SEPROG_KERNELS)",
  );
  if (gpuCompiler === null) return [found];
  const compiles = /^NVRTC \d/.test(gpuCompiler);
  return [
    found,
    fine(
      "GPU kernels",
      compiles ? `compiled at first use by ${gpuCompiler}` : `libtorch's own ops instead: ${gpuCompiler}`,
    ),
  ];
}

function describeSelfTest(right: boolean): Finding {
  if (right) return fine("computation", "a matrix product and its gradient come out right");
  return {
    what: "computation",
    found: "a matrix product or its gradient comes out wrong",
    problem:
      "This build computes wrongly. Run npx seprog-native build --force; if that does not help, --fetch takes the pinned libtorch.",
  };
}
