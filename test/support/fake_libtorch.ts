import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

function write(root: string, file: string, text = ""): void {
  const path = join(root, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

/** Writes the files by which a libtorch is recognised under `root` (which gets lib/ and include/). */
export function writeFakeLibtorch(
  root: string,
  version = "2.10.0",
  options: { readonly cuda?: boolean } = {},
): string {
  const [major, minor, patch] = version.split(".");
  for (const name of ["libc10.so", "libtorch_cpu.so", "libtorch.so", "libgomp.so.1"])
    write(root, `lib/${name}`);
  if (options.cuda) for (const name of ["libc10_cuda.so", "libtorch_cuda.so"]) write(root, `lib/${name}`);
  write(root, "include/ATen/ATen.h");
  write(
    root,
    "include/torch/headeronly/version.h",
    `#define TORCH_VERSION_MAJOR ${major}\n#define TORCH_VERSION_MINOR ${minor}\n#define TORCH_VERSION_PATCH ${patch}\n`,
  );
  return root;
}

/** Puts an executable shell script called `name` into `directory`. */
export function writeShim(directory: string, name: string, script: string): void {
  mkdirSync(directory, { recursive: true });
  const path = join(directory, name);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
}
