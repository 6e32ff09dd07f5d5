// What every download with pip shares: which Python runs it, a folder that never outlives the process, and why it failed.
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import path from "node:path";
import { isAlive } from "./lock.mjs";

const PROGRESS_INTERVAL_MS = 3000;

/** Only what is pinned by content, and nothing that it would draw in. */
export const PIP_FLAGS = [
  "--no-deps",
  "--no-cache-dir",
  "--disable-pip-version-check",
  "--progress-bar",
  "off",
  "--require-hashes",
  "--ignore-requires-python",
  "--only-binary=:all:",
];

/** The Python 3.8 or later that has pip; null without one, then perhaps with a Python that lacks it. */
export function findPython(env) {
  let withoutPip = null;
  for (const python of ["python3", "python"]) {
    const version = spawnSync(python, ["-c", "import sys; sys.exit(sys.version_info < (3, 8))"], { env });
    if (version.status !== 0) continue;
    if (spawnSync(python, ["-m", "pip", "--version"], { env }).status === 0) return { python, withoutPip };
    withoutPip ??= python;
  }
  return { python: null, withoutPip };
}

/** Folders that a killed fetch left behind. */
function removeLeftovers(target) {
  const prefix = `${path.basename(target)}.partial-`;
  for (const name of readdirSync(path.dirname(target))) {
    if (name.startsWith(prefix) && !isAlive(Number(name.slice(prefix.length)))) {
      rmSync(path.join(path.dirname(target), name), { recursive: true, force: true });
    }
  }
}

/** Runs a command in its own process group and resolves to its output; `onTick` is called now and then. */
function runQuietly(command, args, { env, onTick, onStart }) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env, stdio: ["ignore", "pipe", "pipe"], detached: true });
    onStart(child);
    let output = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    child.stderr.on("data", (chunk) => (output += chunk));
    const timer = setInterval(onTick, PROGRESS_INTERVAL_MS);
    child.on("error", (error) => {
      clearInterval(timer);
      reject(error);
    });
    child.on("close", (status) => {
      clearInterval(timer);
      resolve({ status, output });
    });
  });
}

/** The line of pip's output that says why, without its colours. */
function reasonIn(output) {
  const lines = output
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character is what is removed
    .replace(/\u001b\[[0-9;]*m/g, "")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  const offline = lines.find((line) =>
    /NewConnectionError|ConnectTimeout|NameResolutionError|ProxyError/.test(line),
  );
  if (offline) return "no connection to the Python package index";
  const errors = lines.filter((line) => /^(ERROR|error)/.test(line));
  return (errors.at(0) ?? lines.at(-1) ?? "no output").replace(/^ERROR:\s*/, "");
}

export function folderBytes(directory) {
  let bytes = 0;
  for (const entry of readdirSync(directory, { recursive: true })) {
    bytes += statSync(path.join(directory, entry), { throwIfNoEntry: false })?.size ?? 0;
  }
  return bytes;
}

/**
 * Calls `work({ partial, scratch, step })` with a folder `partial` beside `target`, on the same file system; it is gone
 * afterwards whatever happens, signals included. `step(command, args, onTick)` runs a command with its temporary files in
 * `scratch`, a folder in there, and rejects with the reason when it fails.
 */
export async function withPartialFolder({ target, env }, work) {
  mkdirSync(path.dirname(target), { recursive: true });
  removeLeftovers(target);
  const partial = `${target}.partial-${process.pid}`;
  const scratch = path.join(partial, "tmp");

  let running = null;
  const clean = () => rmSync(partial, { recursive: true, force: true });
  const onSignal = (signal) => {
    try {
      if (running !== null) process.kill(-running.pid, "SIGKILL");
    } catch {
      // It has ended by itself.
    }
    clean();
    process.exit(signal === "SIGINT" ? 130 : 143);
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) process.on(signal, onSignal);
  const step = async (command, args, onTick = () => {}) => {
    const result = await runQuietly(command, args, {
      // The download goes through a temporary file; /tmp may be a small memory disk.
      env: { ...env, TMPDIR: scratch, PIP_REQUIRE_VIRTUALENV: "0" },
      onTick,
      onStart: (child) => (running = child),
    });
    running = null;
    if (result.status !== 0) throw new Error(reasonIn(result.output));
  };

  try {
    mkdirSync(scratch, { recursive: true });
    return await work({ partial, scratch, step });
  } finally {
    for (const signal of signals) process.removeListener(signal, onSignal);
    clean();
  }
}
