// The end of a process or worker while an engine is open, 20 times each: libtorch's static objects must not be
// destroyed under a running job.
import { spawn } from "node:child_process";
import { beforeAll, describe, expect, test } from "vitest";
import { childScript, requireBuiltPackage } from "../support/built_package.js";

const RUNS = 20;
const AT_ONCE = 2;

interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
}

/** Sends SIGINT once the child says "ready". */
function runChild(mode: string): Promise<End> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [childScript("exit.mjs"), mode], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
      if (output.includes("ready")) child.kill("SIGINT");
    });
    child.stderr.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal, output }));
  });
}

const MODES = [
  { mode: "plain", code: 0 },
  { mode: "exit-during-job", code: 3 },
  { mode: "throw-during-job", code: 1 },
  { mode: "throwing-callback", code: 1 },
  { mode: "worker-terminate", code: 0 },
  { mode: "sigint", code: 130 },
  { mode: "four-workers", code: 0 },
];

beforeAll(requireBuiltPackage);

describe("exit matrix", () => {
  test.each(MODES)(
    `$mode ends with $code, ${RUNS} of ${RUNS} times`,
    { timeout: 600_000 },
    async ({ mode, code }) => {
      const ends: End[] = [];
      while (ends.length < RUNS) {
        ends.push(...(await Promise.all(Array.from({ length: AT_ONCE }, () => runChild(mode)))));
      }
      expect(ends.filter((end) => end.code !== code)).toEqual([]);
    },
  );
});
