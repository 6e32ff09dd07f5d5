// A package whose native part is missing or does not fit: one code, one sentence, what to do. Each case is a copy of
// the built package with something wrong, loaded in a process of its own.
import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { requireBuiltPackage } from "../support/built_package.js";

const repository = fileURLToPath(new URL("../..", import.meta.url));

let copy: string;
beforeAll(requireBuiltPackage);
beforeEach(() => {
  copy = mkdtempSync(join(tmpdir(), "seprog-load-"));
  for (const path of ["dist", "scripts/lib", "package.json"]) {
    cpSync(join(repository, path), join(copy, path), { recursive: true });
  }
  symlinkSync(join(repository, "node_modules"), join(copy, "node_modules"));
  mkdirSync(join(copy, "build/Release"), { recursive: true });
});
afterEach(() => rmSync(copy, { recursive: true, force: true }));

function copyBuild(...names: readonly string[]): void {
  for (const name of names) {
    copyFileSync(join(repository, "build/Release", name), join(copy, "build/Release", name));
  }
}

/** What opening an engine from the copy throws; null when it opens. Nothing but the copy is looked at. */
function openFromCopy(): { readonly name: string; readonly code: string; readonly message: string } | null {
  const script = `
    const { openEngine } = await import(${JSON.stringify(join(copy, "dist/native/engine.js"))});
    const error = await openEngine().then(() => null, ({ name, code, message }) => ({ name, code, message }));
    console.log(JSON.stringify(error));`;
  const { SEPROG_LIBTORCH: _, LIBTORCH: __, ...clean } = process.env;
  const output = execFileSync(process.execPath, ["--input-type=module", "-e", script], {
    env: { ...clean, PATH: "", XDG_CACHE_HOME: join(copy, "cache") },
    encoding: "utf8",
  });
  return JSON.parse(output);
}

test("the copy itself opens", () => {
  copyBuild("seprog_native.node", "seprog_preload.node", "libtorch.json");
  expect(openFromCopy()).toBeNull();
});

test("nothing was built", () => {
  expect(openFromCopy()).toMatchObject({
    name: "SeprogError",
    code: "NATIVE_NOT_FOUND",
    message: expect.stringMatching(/build.Release.*npx seprog-native build/),
  });
});

test("the record of the build is missing", () => {
  copyBuild("seprog_native.node", "seprog_preload.node");
  expect(openFromCopy()).toMatchObject({ code: "NATIVE_NOT_FOUND" });
});

test("one of the two addons is missing", () => {
  copyBuild("seprog_native.node", "libtorch.json");
  expect(openFromCopy()).toMatchObject({
    code: "NATIVE_NOT_FOUND",
    message: expect.stringMatching(/seprog_preload\.node.*npx seprog-native build/s),
  });
});

test("libtorch has gone since the build", () => {
  copyBuild("seprog_native.node", "seprog_preload.node");
  const record = JSON.parse(readFileSync(join(repository, "build/Release/libtorch.json"), "utf8"));
  writeFileSync(
    join(copy, "build/Release/libtorch.json"),
    JSON.stringify({ ...record, root: join(copy, "gone") }),
  );
  expect(openFromCopy()).toMatchObject({
    code: "NATIVE_NOT_FOUND",
    message: expect.stringMatching(/gone.*npx seprog-native build/s),
  });
});

test("the addon is no library", () => {
  copyBuild("seprog_preload.node", "libtorch.json");
  writeFileSync(join(copy, "build/Release/seprog_native.node"), "not a library");
  expect(openFromCopy()).toMatchObject({
    code: "NATIVE_INCOMPATIBLE",
    message: expect.stringMatching(/seprog_native\.node.*npx seprog-native build/s),
  });
});

test("the addon is of another version of the package", () => {
  copyBuild("seprog_native.node", "seprog_preload.node", "libtorch.json");
  const manifest = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));
  writeFileSync(join(copy, "package.json"), JSON.stringify({ ...manifest, version: "99.0.0" }));
  expect(openFromCopy()).toMatchObject({
    code: "NATIVE_INCOMPATIBLE",
    message: expect.stringMatching(/99\.0\.0.*npx seprog-native build/s),
  });
});
