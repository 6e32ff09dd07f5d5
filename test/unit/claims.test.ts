import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Claims } from "../../src/bench/claims.js";
import { isRunning, processIdentity, processSpace } from "../../src/bench/process_identity.js";

let folder = "";
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), "seprog-claims-")), "claims");
});
afterEach(() => rm(join(folder, ".."), { recursive: true }));

const claimFile = async (name: string, content: object): Promise<string> => {
  await mkdir(folder, { recursive: true });
  const path = join(folder, name);
  await writeFile(path, JSON.stringify(content));
  return path;
};
const ENDED = { pid: 2 ** 22 + 1, startTicks: "1" };

describe("a process", () => {
  it("is told from a later one of the same number, and from one that has ended", async () => {
    const self = processIdentity(process.pid);
    expect(self).not.toBeNull();
    expect(self && isRunning(self)).toBe(true);
    expect(isRunning({ pid: process.pid, startTicks: "1" })).toBe(false);
    const child = spawn("sleep", ["60"]);
    await once(child, "spawn");
    const other = processIdentity(child.pid ?? 0);
    expect(other && isRunning(other)).toBe(true);
    child.kill("SIGKILL");
    await once(child, "close");
    expect(other && isRunning(other)).toBe(false);
  });
});

describe("a claim", () => {
  it("is one process's until it is released", async () => {
    const [mine, yours] = [new Claims(folder), new Claims(folder)];
    const claim = await mine.take("a");
    expect(claim).toBeDefined();
    expect(await yours.take("a")).toBeUndefined();
    expect(await yours.take("b")).toBeDefined();
    await claim?.release();
    expect(await yours.take("a")).toBeDefined();
    expect(await mine.held()).toEqual(expect.arrayContaining(["a", "b"]));
  });

  it("is given to one of many who ask at once, also where a dead one stands", async () => {
    for (let round = 0; round < 20; round += 1) {
      const name = `cell-${round}`;
      if (round % 2 === 1) await claimFile(`${name}.1`, { space: processSpace(), holders: [ENDED] });
      const got = await Promise.all(Array.from({ length: 8 }, () => new Claims(folder).take(name)));
      expect(got.filter((claim) => claim !== undefined).length).toBeLessThanOrEqual(1);
      for (const claim of got) await claim?.release();
      expect(await new Claims(folder).take(name)).toBeDefined();
    }
  });

  it("of a process that was killed counts no longer, and goes with the next one", async () => {
    await claimFile("a.1", { space: processSpace(), holders: [ENDED] });
    const claims = new Claims(folder);
    expect(await claims.held()).toEqual([]);
    const claim = await claims.take("a");
    expect(claim).toBeDefined();
    await claim?.release();
    expect(await readdir(folder)).toEqual([]);
  });

  it("lives as long as one of its processes", async () => {
    const child = spawn("sleep", ["60"]);
    await once(child, "spawn");
    const claim = await new Claims(folder).take("a");
    await claim?.addHolder(child.pid ?? 0);
    // As if the process that made it had been killed.
    const [file = ""] = await readdir(folder);
    const { space, holders } = JSON.parse(await readFile(join(folder, file), "utf8"));
    await claimFile(file, { space, holders: [ENDED, holders[1]] });
    expect(await new Claims(folder).take("a")).toBeUndefined();
    child.kill("SIGKILL");
    await once(child, "close");
    expect(await new Claims(folder).take("a")).toBeDefined();
    await claim?.release();
  });

  it("of another machine counts while it is kept fresh", async () => {
    const path = await claimFile("a.1", { space: "elsewhere", holders: [ENDED] });
    expect(await new Claims(folder).take("a")).toBeUndefined();
    const before = new Date(Date.now() - 120_000);
    await utimes(path, before, before);
    expect(await new Claims(folder).take("a")).toBeDefined();
  });

  it("is no litter: what the dead left is removed, what is held stays", async () => {
    await claimFile("dead.1", { space: processSpace(), holders: [ENDED] });
    await claimFile("dead.2", { space: processSpace(), holders: [ENDED] });
    const claims = new Claims(folder);
    const claim = await claims.take("mine");
    await claims.tidy();
    expect(await readdir(folder)).toEqual(["mine.1"]);
    await claim?.release();
    await claims.tidy();
    expect(await readdir(join(folder, ".."))).toEqual([]);
  });
});
