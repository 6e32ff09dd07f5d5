import { defineCommand } from "../command.js";
import { runScript } from "../run_script.js";

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
    const args = ["--strict", ...(force ? ["--force"] : []), ...(fetch ? ["--fetch"] : [])];
    return runScript("install.mjs", args);
  },
});
