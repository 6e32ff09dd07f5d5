import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  buildRecordPath,
  cachedLibtorchDir,
  inspectLibtorch,
  isSupported,
  libtorchForRun,
  locateLibtorch,
  vendoredLibtorchDir,
} from "../../scripts/lib/libtorch.mjs";
import { writeFakeLibtorch, writeShim } from "../support/fake_libtorch.js";

let scratch: string;
let packageRoot: string;
/** A home of our own and a PATH without any Python. */
let env: NodeJS.ProcessEnv;

beforeEach(() => {
  scratch = realpathSync(mkdtempSync(join(tmpdir(), "seprog-libtorch-")));
  packageRoot = join(scratch, "package");
  mkdirSync(packageRoot);
  env = { HOME: join(scratch, "home"), PATH: join(scratch, "bin") };
});

afterEach(() => rmSync(scratch, { recursive: true, force: true }));

function expectCoded(work: () => unknown, code: string, message: RegExp): void {
  expect(work).toThrowError(expect.objectContaining({ code, message: expect.stringMatching(message) }));
}

test.each([
  ["2.9.1", false],
  ["2.10.0", true],
  ["2.10.0+cu128", true],
  ["2.14.2", true],
  ["2.15.0", false],
  ["3.0.0", false],
])("libtorch %s is supported: %s", (version, supported) => {
  expect(isSupported(version)).toBe(supported);
});

describe("inspectLibtorch", () => {
  test("describes a CPU libtorch: dependencies first, libtorch.so left out", () => {
    const root = writeFakeLibtorch(join(scratch, "cpu"));
    const libtorch = inspectLibtorch(root, "LIBTORCH");
    expect(libtorch).toMatchObject({
      root,
      version: "2.10.0",
      hasCuda: false,
      source: "LIBTORCH",
      cudaLibraries: [],
    });
    expect(libtorch.cpuLibraries.map((path) => basename(path))).toEqual([
      "libc10.so",
      "libgomp.so.1",
      "libtorch_cpu.so",
    ]);
  });

  test("lists the CUDA pair apart", () => {
    const libtorch = inspectLibtorch(
      writeFakeLibtorch(join(scratch, "cuda"), "2.11.0", { cuda: true }),
      "LIBTORCH",
    );
    expect(libtorch.hasCuda).toBe(true);
    expect(libtorch.cudaLibraries.map((path) => basename(path))).toEqual([
      "libc10_cuda.so",
      "libtorch_cuda.so",
    ]);
  });

  test("accepts the folder above, as site-packages are", () => {
    const root = writeFakeLibtorch(join(scratch, "site-packages", "torch"));
    expect(inspectLibtorch(dirname(root), "LIBTORCH").root).toBe(root);
  });

  test("names the file that is missing", () => {
    const root = writeFakeLibtorch(join(scratch, "partial"));
    rmSync(join(root, "lib/libc10.so"));
    expectCoded(() => inspectLibtorch(root, "LIBTORCH"), "NATIVE_NOT_FOUND", /libc10\.so does not exist/);
  });

  test("refuses a version outside the range in a sentence", () => {
    const root = writeFakeLibtorch(join(scratch, "old"), "2.9.1");
    expectCoded(
      () => inspectLibtorch(root, "LIBTORCH"),
      "NATIVE_INCOMPATIBLE",
      /expected libtorch 2\.10 to 2\.14 but received 2\.9\.1/,
    );
  });
});

describe("cachedLibtorchDir", () => {
  test("follows XDG_CACHE_HOME when it is absolute, else the home folder", () => {
    expect(cachedLibtorchDir({ XDG_CACHE_HOME: "/c", HOME: "/h" })).toBe("/c/seprog-native/libtorch-2.10.0");
    expect(cachedLibtorchDir({ XDG_CACHE_HOME: "relative", HOME: "/h" })).toBe(
      "/h/.cache/seprog-native/libtorch-2.10.0",
    );
  });
});

describe("locateLibtorch", () => {
  test("takes the first usable place in the documented order", () => {
    const cache = cachedLibtorchDir(env);
    if (cache === null) throw new Error("no cache folder");
    const python = join(scratch, "site-packages", "torch");
    writeShim(join(scratch, "bin"), "python3", `echo ${python}`);
    const places = {
      SEPROG_LIBTORCH: writeFakeLibtorch(join(scratch, "own")),
      LIBTORCH: writeFakeLibtorch(join(scratch, "other")),
      vendor: writeFakeLibtorch(vendoredLibtorchDir(packageRoot)),
      cache: writeFakeLibtorch(cache),
      python: writeFakeLibtorch(python),
    };
    const full: NodeJS.ProcessEnv = {
      ...env,
      SEPROG_LIBTORCH: places.SEPROG_LIBTORCH,
      LIBTORCH: places.LIBTORCH,
    };
    for (const [source, directory] of Object.entries(places)) {
      const { libtorch } = locateLibtorch({ packageRoot, env: full });
      expect(libtorch).toMatchObject({ source, root: directory });
      if (source.endsWith("LIBTORCH")) delete full[source];
      else rmSync(directory, { recursive: true });
    }
    expect(locateLibtorch({ packageRoot, env: full }).libtorch).toBeNull();
  });

  test("an unusable SEPROG_LIBTORCH is an error, never replaced in silence", () => {
    writeFakeLibtorch(vendoredLibtorchDir(packageRoot));
    const own = writeFakeLibtorch(join(scratch, "own"), "2.15.0");
    expectCoded(
      () => locateLibtorch({ packageRoot, env: { ...env, SEPROG_LIBTORCH: own } }),
      "NATIVE_INCOMPATIBLE",
      /`SEPROG_LIBTORCH` but received .*own.*2\.15\.0/,
    );
  });

  test("an unusable LIBTORCH is passed over, with the reason", () => {
    writeFakeLibtorch(vendoredLibtorchDir(packageRoot));
    const { libtorch, tried } = locateLibtorch({ packageRoot, env: { ...env, LIBTORCH: "/nowhere" } });
    expect(libtorch?.source).toBe("vendor");
    expect(tried).toEqual([
      { source: "LIBTORCH", directory: "/nowhere", problem: "/nowhere/lib/libc10.so does not exist" },
    ]);
  });
});

describe("libtorchForRun", () => {
  function record(root: string, version: string): void {
    const file = buildRecordPath(packageRoot);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, JSON.stringify({ root, version, source: "LIBTORCH" }));
  }

  test("without a build it names the command that builds", () => {
    expectCoded(() => libtorchForRun({ packageRoot, env }), "NATIVE_NOT_FOUND", /npx seprog-native build/);
  });

  test("is the one of the build", () => {
    const root = writeFakeLibtorch(join(scratch, "built"));
    record(root, "2.10.0");
    expect(libtorchForRun({ packageRoot, env }).libtorch).toMatchObject({ root, source: "LIBTORCH" });
  });

  test("SEPROG_LIBTORCH may name another of the same minor version", () => {
    record(writeFakeLibtorch(join(scratch, "built")), "2.10.0");
    const own = writeFakeLibtorch(join(scratch, "own"), "2.10.1", { cuda: true });
    const { libtorch } = libtorchForRun({ packageRoot, env: { ...env, SEPROG_LIBTORCH: own } });
    expect(libtorch).toMatchObject({ root: own, hasCuda: true });
  });

  test("SEPROG_LIBTORCH of another minor version is refused", () => {
    record(writeFakeLibtorch(join(scratch, "built")), "2.10.0");
    const own = writeFakeLibtorch(join(scratch, "own"), "2.11.0");
    expectCoded(
      () => libtorchForRun({ packageRoot, env: { ...env, SEPROG_LIBTORCH: own } }),
      "NATIVE_INCOMPATIBLE",
      /built against libtorch 2\.10\.0 but this one is 2\.11\.0/,
    );
  });

  test("when the one of the build is gone, another of the same minor version serves, and no other", () => {
    record(join(scratch, "gone"), "2.10.0");
    const vendored = vendoredLibtorchDir(packageRoot);
    writeFakeLibtorch(vendored, "2.11.0");
    expectCoded(
      () => libtorchForRun({ packageRoot, env }),
      "NATIVE_NOT_FOUND",
      /gone.*npx seprog-native build/,
    );
    writeFakeLibtorch(vendored, "2.10.3");
    expect(libtorchForRun({ packageRoot, env }).libtorch.root).toBe(vendored);
  });
});
