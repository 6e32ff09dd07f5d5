// Which libtorch enters the process. Runs the built package in a child, as a user's program would load it.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readBuildRecord } from "../../scripts/lib/libtorch.mjs";
import { writeFakeLibtorch } from "../support/fake_libtorch.js";

const repository = fileURLToPath(new URL("../..", import.meta.url));
const recorded = readBuildRecord(repository);

const SCRIPT = `
import { readFileSync } from "node:fs";
const { loadAddon } = await import(${JSON.stringify(join(repository, "dist/native/load.js"))});
const result = { correct: null, code: null, message: null };
try {
  result.correct = loadAddon().selfTest();
} catch (error) {
  result.code = error.code;
  result.message = error.message;
}
const files = readFileSync("/proc/self/maps", "utf8").split("\\n").map((line) => line.split(/\\s+/)[5] ?? "");
result.mapped = [...new Set(files)].filter((file) => /libtorch|libc10|libgomp/.test(file)).sort();
const { OMP_WAIT_POLICY: waitPolicy, ONEDNN_PRIMITIVE_CACHE_CAPACITY, LRU_CACHE_CAPACITY } = process.env;
result.waitPolicy = waitPolicy;
result.shapesKept = [ONEDNN_PRIMITIVE_CACHE_CAPACITY, LRU_CACHE_CAPACITY];
console.log(JSON.stringify(result));`;

interface Result {
  readonly correct: boolean | null;
  readonly code: string | null;
  readonly message: string | null;
  readonly mapped: readonly string[];
  readonly waitPolicy: string | undefined;
  readonly shapesKept: readonly (string | null)[];
}

function loadInChild(env: NodeJS.ProcessEnv): Result {
  const clean = { ...process.env };
  for (const name of [
    "OMP_WAIT_POLICY",
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY",
    "LRU_CACHE_CAPACITY",
    "SEPROG_LIBTORCH",
  ])
    delete clean[name];
  const output = execFileSync(process.execPath, ["--input-type=module", "-e", SCRIPT], {
    env: { ...clean, ...env },
    encoding: "utf8",
  });
  return JSON.parse(output);
}

let scratch: string;
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), "seprog-process-"));
});
afterEach(() => rmSync(scratch, { recursive: true, force: true }));

test("a foreign libtorch on the loader's path is not loaded, and there is one OpenMP runtime", () => {
  // A shared object that loads but has none of libtorch's symbols, under the names that a system libtorch has.
  const source = join(scratch, "empty.c");
  writeFileSync(source, "int seprog_foreign;\n");
  for (const name of ["libtorch_cpu.so", "libc10.so", "libgomp.so.1"]) {
    const built = spawnSync("cc", [
      "-shared",
      "-fPIC",
      `-Wl,-soname,${name}`,
      "-o",
      join(scratch, name),
      source,
    ]);
    expect(built.status).toBe(0);
  }
  const { correct, mapped } = loadInChild({ LD_LIBRARY_PATH: scratch });
  expect(correct).toBe(true);
  const libraries = recorded?.cpuLibraries ?? [];
  expect(libraries).toHaveLength(3);
  expect(mapped).toEqual(expect.arrayContaining([...libraries]));
  // The CUDA runtime that libtorch_cpu itself needs stands in the same folder.
  expect(mapped.filter((path) => path.startsWith(scratch))).toEqual([]);
  expect(mapped.filter((path) => path.includes("libgomp"))).toHaveLength(1);
});

test("worker threads of OpenMP sleep when idle, unless the user wants otherwise", () => {
  expect(loadInChild({}).waitPolicy).toBe("passive");
  expect(loadInChild({ OMP_WAIT_POLICY: "active" }).waitPolicy).toBe("active");
});

test("the matrix library keeps no thousand shapes, unless the user wants them", () => {
  expect(loadInChild({}).shapesKept).toEqual(["256", "256"]);
  expect(loadInChild({ LRU_CACHE_CAPACITY: "1024" }).shapesKept).toEqual(["256", "1024"]);
});

test("a libtorch whose libraries do not load is NATIVE_NOT_FOUND with the loader's words", () => {
  const version = recorded?.version ?? "";
  const broken = writeFakeLibtorch(join(scratch, "broken"), version);
  const { code, message, mapped } = loadInChild({ SEPROG_LIBTORCH: broken });
  expect(code).toBe("NATIVE_NOT_FOUND");
  expect(message).toMatch(/libc10\.so.*(file too short|invalid ELF header)/);
  expect(mapped).toEqual([]);
});

test("another minor version of libtorch is NATIVE_INCOMPATIBLE", () => {
  const other = writeFakeLibtorch(
    join(scratch, "other"),
    recorded?.version.startsWith("2.10") ? "2.11.0" : "2.10.0",
  );
  const { code, message } = loadInChild({ SEPROG_LIBTORCH: other });
  expect(code).toBe("NATIVE_INCOMPATIBLE");
  expect(message).toMatch(/built against libtorch .*npx seprog-native build/);
});
