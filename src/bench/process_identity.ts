import { createHash } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";

/** Index of the start time among the fields of /proc/PID/stat behind the program's name (proc(5): field 22). */
const START_TIME = 19;

/** A process, told from a later one of the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** In clock ticks since the system started. */
  readonly startTicks: string;
}

/** Null for a process that is not there or has ended. */
export function processIdentity(pid: number): ProcessIdentity | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The program's name stands in brackets and may hold any character.
    const [state, ...rest] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const startTicks = rest[START_TIME - 1];
    return state === "Z" || startTicks === undefined ? null : { pid, startTicks };
  } catch {
    return null;
  }
}

export const isRunning = ({ pid, startTicks }: ProcessIdentity): boolean =>
  processIdentity(pid)?.startTicks === startTicks;

/** Where numbers of processes mean the same: one system since its start, one container of it. Names nobody. */
export function processSpace(): string {
  const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  return createHash("sha256")
    .update(`${boot} ${readlinkSync("/proc/self/ns/pid")}`)
    .digest("hex")
    .slice(0, 16);
}
