// The program as people run it, in a process of its own.
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { packageRoot } from "../../src/config/paths.js";

export interface Ended {
  readonly status: number | null;
  /** The signal that ended it, if one did. */
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Resolves once stderr holds the text. */
  said(text: string): Promise<void>;
}

export interface ProgramOptions {
  readonly cwd: string;
  /** What standard input holds. */
  readonly input?: string;
  /** Beside the variables of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** Of Node, in front of the program. */
  readonly nodeArgs?: readonly string[];
}

export function startProgram(args: readonly string[], options: ProgramOptions): Running {
  const { cwd, input = "", env = {}, nodeArgs = [] } = options;
  const program = join(packageRoot, "bin", "seprog-native.mjs");
  const child = spawn(process.execPath, [...nodeArgs, program, ...args], {
    cwd,
    // What base models say is kept with the test.
    env: { ...process.env, SEPROG_CACHE: join(cwd, ".answers"), ...env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  child.stdin.end(input);
  const ended = new Promise<Ended>((resolve) => {
    child.once("close", (status, signal) => resolve({ status, signal, stdout, stderr }));
  });
  const said = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (stderr.includes(text)) resolve();
      };
      child.stderr.on("data", look);
      child.once("close", () => reject(new Error(`ended without saying "${text}": ${stderr}`)));
      look();
    });
  return { child, ended, said };
}

/** What it printed. Throws when it failed. */
export async function runProgram(args: readonly string[], options: ProgramOptions): Promise<string> {
  const { status, stdout, stderr } = await startProgram(args, options).ended;
  if (status !== 0) throw new Error(`${args.join(" ")} ended with ${status}: ${stderr}`);
  return stdout;
}
