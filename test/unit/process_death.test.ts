import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { countMemoryKills, deathError } from "../../src/bench/process_death.js";

describe("a process that was killed", () => {
  const killed = (before: number | null, after: number | null) =>
    deathError({ code: null, signal: "SIGKILL", stderr: " at step 3\n", memoryKills: { before, after } });

  it("ran out of memory where the system killed for it meanwhile", () => {
    const { code, message } = killed(2, 3);
    expect(code).toBe("OUT_OF_MEMORY");
    expect(message).toMatch(/signal SIGKILL while the system was killing for want of memory.*\nat step 3$/);
  });

  it("was killed by someone where the system killed nothing", () => {
    const { code, message } = killed(2, 2);
    expect(code).toBe("INTERNAL");
    expect(message).toContain("a person or a scheduler killed it");
  });

  it("was killed by nobody knows whom where the system does not tell", () => {
    for (const { code, message } of [killed(null, null), killed(2, null)]) {
      expect(code).toBe("INTERNAL");
      expect(message).toContain("does not tell apart");
    }
  });
});

it("a process that crashed is not said to have been killed for memory, whatever happened beside it", () => {
  const { code, message } = deathError({
    code: null,
    signal: "SIGSEGV",
    stderr: "",
    memoryKills: { before: 0, after: 9 },
  });
  expect([code, message]).toEqual([
    "INTERNAL",
    "expected the job's process to finish but it ended with signal SIGSEGV",
  ]);
});

describe("the kernel's count", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "seprog-vmstat-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it("is read where it stands", async () => {
    const file = join(folder, "vmstat");
    await writeFile(file, "nr_free_pages 99\noom_kill 7\ndrop_pagecache 0\n");
    expect(countMemoryKills(file)).toBe(7);
  });

  it("is not known where it does not", async () => {
    const file = join(folder, "old");
    await writeFile(file, "nr_free_pages 99\n");
    expect(countMemoryKills(file)).toBeNull();
    expect(countMemoryKills(join(folder, "none"))).toBeNull();
  });
});
