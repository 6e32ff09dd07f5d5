import { spawn } from "node:child_process";
import { join } from "node:path";
import { packageRoot } from "../config/paths.js";
import { EXIT_INTERRUPTED } from "./interrupt.js";

/** Runs a script of the package on this terminal and returns its exit status. */
export async function runScript(name: string, args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [join(packageRoot, "scripts", name), ...args], { stdio: "inherit" });
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
}
