import { readFileSync } from "node:fs";
import { SeprogError } from "../errors.js";

/** How a process ended that did not finish its job. */
export interface ProcessDeath {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stderr: string;
  /** Of the machine, before the process began and after it ended; null where the system does not tell. */
  readonly memoryKills: { readonly before: number | null; readonly after: number | null };
}

/** The cause of an error that tells of a death: the process has not said what was wrong. */
export class ProcessEnd extends Error {
  /** "signal SIGKILL", "exit status 1". */
  readonly how: string;

  constructor(how: string) {
    super(`ended with ${how}`);
    this.how = how;
  }
}

/** How many processes the kernel has killed for want of memory since it started; null where it does not tell. */
export function countMemoryKills(vmstat = "/proc/vmstat"): number | null {
  try {
    const count = /^oom_kill (\d+)$/m.exec(readFileSync(vmstat, "utf8"))?.[1];
    return count === undefined ? null : Number(count);
  } catch {
    return null;
  }
}

/**
 * OUT_OF_MEMORY where the kernel killed for want of memory while the process lived, else INTERNAL. SIGKILL alone says
 * nothing: people and schedulers send it too.
 */
export function deathError({ code, signal, stderr, memoryKills }: ProcessDeath): SeprogError {
  const how = signal === null ? `exit status ${code}` : `signal ${signal}`;
  const said = stderr.trim() === "" ? "" : `\n${stderr.trim()}`;
  const cause = new ProcessEnd(how);
  const expected = `expected the job's process to finish but it ended with ${how}`;
  if (signal !== "SIGKILL") return new SeprogError("INTERNAL", `${expected}${said}`, { cause });
  const { before, after } = memoryKills;
  if (before === null || after === null)
    return new SeprogError(
      "INTERNAL",
      `${expected}: a person, a scheduler or the system killed it, which this system does not tell apart. If memory was short, use a smaller batch or model${said}`,
      { cause },
    );
  return after > before
    ? new SeprogError(
        "OUT_OF_MEMORY",
        `${expected} while the system was killing for want of memory. Use a smaller batch or model, or fewer programs beside it${said}`,
        { cause },
      )
    : new SeprogError(
        "INTERNAL",
        `${expected}: a person or a scheduler killed it; the system killed no process of this machine for want of memory meanwhile${said}`,
        { cause },
      );
}
