import { spawn } from "node:child_process";
import { join } from "node:path";
import { packageRoot } from "../../config/paths.js";
import { defineCommand } from "../command.js";
import { EXIT_INTERRUPTED } from "../interrupt.js";

export const build = defineCommand({
  command: "build",
  describe: "Find or fetch libtorch and build the native engine",
  examples: [
    ["build", "build with the libtorch that is found, or fetch the pinned one"],
    ["build --force", "build from scratch"],
    ["build --fetch", "fetch the pinned libtorch even if another one is found"],
  ],
  options: {
    force: { type: "boolean", default: false, describe: "Build from scratch" },
    fetch: {
      type: "boolean",
      default: false,
      describe: "Fetch the pinned libtorch even if another is found",
    },
  },
  run: async ({ force, fetch }) => {
    const script = join(packageRoot, "scripts", "install.mjs");
    const args = [script, "--strict", ...(force ? ["--force"] : []), ...(fetch ? ["--fetch"] : [])];
    const child = spawn(process.execPath, args, { stdio: "inherit" });
    // Ctrl-C reaches the child by itself; this process only waits for it to end.
    const ignore = (): void => undefined;
    process.on("SIGINT", ignore);
    try {
      return await new Promise<number>((resolve, reject) => {
        child.once("error", reject);
        child.once("close", (code, killedBy) =>
          resolve(code ?? (killedBy === "SIGINT" ? EXIT_INTERRUPTED : 1)),
        );
      });
    } finally {
      process.off("SIGINT", ignore);
    }
  },
});
