// A disk that fills up while a model is written: a small memory disk where this user may mount one, else a limit on the
// size of files. Either way the write is refused in the middle.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { childScript, requireBuiltPackage } from "../support/built_package.js";

let folder: string;
beforeAll(requireBuiltPackage);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "seprog-full-disk-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Report {
  readonly refusal: { readonly code: string; readonly message: string } | null;
  readonly files: readonly string[];
  readonly earlier: string;
  readonly worksAfterwards: boolean;
}

function saveInChild(command: string, args: readonly string[]): Report {
  return JSON.parse(execFileSync(command, args, { encoding: "utf8" }));
}

function expectCleanRefusal({ refusal, files, earlier, worksAfterwards }: Report): void {
  expect(refusal).toMatchObject({ code: "CHECKPOINT_INVALID", message: expect.stringContaining(folder) });
  expect(files.filter((name) => name !== "config.json")).toEqual(["model.safetensors"]);
  expect(earlier).toBe("what was there before");
  expect(worksAfterwards).toBe(true);
}

test("a limit on the size of files", () => {
  // In blocks of 1024 bytes; the weights are larger.
  const script = 'ulimit -f 32 && exec "$0" "$@"';
  const report = saveInChild("bash", ["-c", script, process.execPath, childScript("full_disk.mjs"), folder]);
  expectCleanRefusal(report);
});

test("a full memory disk, or without the right to mount one a still smaller limit", () => {
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", folder]).status === 0;
  console.log(
    mounted ? "full disk: a tmpfs of 64 KiB" : "full disk: may not mount, a file limit of 8 KiB instead",
  );
  try {
    const report = mounted
      ? saveInChild(process.execPath, [childScript("full_disk.mjs"), folder])
      : saveInChild("bash", [
          "-c",
          'ulimit -f 8 && exec "$0" "$@"',
          process.execPath,
          childScript("full_disk.mjs"),
          folder,
        ]);
    expectCleanRefusal(report);
  } finally {
    if (mounted) execFileSync("umount", [folder]);
  }
});
