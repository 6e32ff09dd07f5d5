// Follows docs/extending.md: its blocks, applied to a copy of the sources, compile and do what the page says.
import { execFileSync } from "node:child_process";
import {
  cpSync,
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
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { applyAddition, documentedBlocks } from "../support/documented_blocks.js";

const repository = fileURLToPath(new URL("../..", import.meta.url));
const blocks = documentedBlocks("docs/extending.md");
let copy = "";

beforeAll(() => {
  copy = mkdtempSync(join(tmpdir(), "seprog-extending-"));
});
afterAll(() => rmSync(copy, { recursive: true, force: true }));

/** Writes the page's blocks of files under `folder` into the copy: new files whole, additions into what is there. */
function applyBlocks(folder: string): void {
  for (const { language, path, text } of blocks.filter(({ path }) => path.startsWith(folder))) {
    const target = join(copy, path);
    if (language !== "diff") writeFileSync(target, text);
    else {
      const current = readFileSync(target, "utf8");
      rmSync(target); // it may be a link to the original
      writeFileSync(target, applyAddition(current, text));
    }
  }
}

/** The core's headers where the copy looks for them, and a folder of editors to add to. */
function linkCore(): void {
  const core = join(repository, "native/core");
  mkdirSync(join(copy, "native/core/editors"), { recursive: true });
  const link = (name: string): void => symlinkSync(join(core, name), join(copy, "native/core", name));
  for (const name of readdirSync(core)) if (name !== "editors") link(name);
  for (const name of readdirSync(join(core, "editors"))) link(join("editors", name));
}

const buildSchema = z.array(z.object({ directory: z.string(), command: z.string(), file: z.string() }));

/** The command that the build compiles the registry with, as a function of source and object. */
function compiler(): { compile(source: string): string; link(objects: readonly string[]): string } {
  const folder = join(repository, "build/native");
  const commands = buildSchema.parse(JSON.parse(readFileSync(join(folder, "compile_commands.json"), "utf8")));
  const own = commands.find(({ file }) => file.endsWith("native/core/editors/registry.cpp"));
  const words = own?.command.replaceAll('\\"', '"').split(" ") ?? [];
  const [program = "", ...options] = words.slice(0, words.indexOf("-o"));
  const libtorch =
    options.find((option) => /\/torch\/include$/.test(option))?.replace(/include$/, "lib") ?? "";
  const run = (parameters: readonly string[]): string =>
    execFileSync(program, parameters, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  return {
    compile(source) {
      const object = `${source}.o`;
      // The copy's headers stand before the original's.
      run([`-I${join(copy, "native")}`, ...options, "-Werror", "-o", object, "-c", source]);
      return object;
    },
    link(objects) {
      const target = join(copy, "try");
      const libraries = ["libtorch_cpu.so", "libc10.so", "libgomp.so.1"].map((name) => join(libtorch, name));
      const core = join(folder, "native/libseprog_core.a");
      run(["-fopenmp", ...objects, core, ...libraries, `-Wl,-rpath,${libtorch}`, "-o", target]);
      return target;
    },
  };
}

describe("docs/extending.md", () => {
  test("names a file for every part of an editor", () => {
    expect(blocks.map(({ path }) => dirname(path))).toEqual([
      "native/core/editors",
      "native/core/editors",
      "native/core/editors",
      "src/editors",
      "src/editors",
      "src/editors",
      ".",
    ]);
  });

  test("its C++ compiles against the core and learns its edits", () => {
    linkCore();
    applyBlocks("native/");
    const trial = blocks.find(({ path }) => path.startsWith("try_"));
    const source = join(copy, trial?.path ?? "");
    writeFileSync(source, trial?.text ?? "");
    const { compile, link } = compiler();
    const own = blocks.filter(({ path }) => path.startsWith("native/")).map(({ path }) => join(copy, path));
    const program = link([...new Set(own), source].map(compile));
    const figures = execFileSync(program, {
      encoding: "utf8",
      env: { ...process.env, OMP_NUM_THREADS: "1" },
    });
    expect(figures).toMatch(/^trials \d+\nresidualNorm [\d.e+-]+\neditLoss [\d.e+-]+\neditAccuracy 1$/m);
  });

  test("its TypeScript compiles, is known to the registry, and fills in defaults", async () => {
    cpSync(join(repository, "src"), join(copy, "src"), { recursive: true });
    for (const name of ["package.json", "tsconfig.json", "tsconfig.build.json"])
      cpSync(join(repository, name), join(copy, name));
    for (const name of ["node_modules", "scripts"]) symlinkSync(join(repository, name), join(copy, name));
    applyBlocks("src/");
    const tsc = join(repository, "node_modules/typescript/bin/tsc");
    execFileSync(process.execPath, [tsc, "-p", join(copy, "tsconfig.build.json")], { encoding: "utf8" });
    const registry: typeof import("../../src/editors/registry.js") = await import(
      pathToFileURL(join(copy, "dist/editors/registry.js")).href
    );
    const definition = Object.entries(registry.EDITORS).find(([kind]) => kind === "shortest_step")?.[1];
    expect(definition?.spec.parse({ kind: "shortest_step" })).toEqual({
      kind: "shortest_step",
      firstLength: 0.01,
      factor: 1.3,
      maxTrials: 40,
      microBatch: 16,
    });
    expect(definition?.spec.safeParse({ kind: "shortest_step", factor: 1 }).success).toBe(false);
  });
});
