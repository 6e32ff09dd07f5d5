// A bench by several processes: the same figures as by one, and nothing lost or done twice whoever is killed.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Claims } from "../../src/bench/claims.js";
import { type CellResult, cellResultSchema } from "../../src/evaluation/records.js";
import { runProgram, startProgram } from "../support/program.js";
import { tinySuiteWorld } from "../support/tiny_suite.js";
import type { TinyWorld } from "../support/tiny_world.js";

let world: TinyWorld;
const CELLS = 6;

const options = () => ({
  cwd: world.folder,
  env: { SEPROG_MATMUL: "default", SEPROG_CACHE: world.path("answers") },
});
const bench = (name: string, ...more: readonly string[]): readonly string[] => {
  const folders = ["--out", `runs/${name}`, "--editors", "editors"];
  return ["bench", "--suite", "suite.yaml", "--threads", "1", ...folders, ...more];
};

/** What was measured, by cell: every question and answer, and the hash over the answers' ids. */
function measured(name: string): Record<string, readonly [edits: string, outputHash: string | undefined]> {
  const cells = world.path("runs", name, "cells");
  return Object.fromEntries(
    readdirSync(cells).map((cell) => {
      const read = (file: string): string => readFileSync(join(cells, cell, file), "utf8");
      const { receipt } = cellResultSchema.parse(JSON.parse(read("result.json")));
      return [cell, [read("edits.jsonl"), receipt?.outputHash] as const];
    }),
  );
}

const worksOf = (name: string): Record<string, CellResult["work"]> =>
  Object.fromEntries(
    readdirSync(world.path("runs", name, "cells")).map((cell) => {
      const text = readFileSync(world.path("runs", name, "cells", cell, "result.json"), "utf8");
      return [cell, cellResultSchema.parse(JSON.parse(text)).work];
    }),
  );

beforeAll(async () => {
  world = await tinySuiteWorld((tiny) => ({
    k: [1, 2],
    methods: {
      seprog: tiny.method({ steps: 30 }),
      lookup: { editor: { kind: "lookup" } },
      ft: { editor: { kind: "ft", maxSteps: 2 } },
    },
    evaluation: { maxEdits: 8, minEpisodes: 2, timing: { warmUps: 0, repetitions: 2 } },
  }));
  await runProgram(bench("one"), options());
  expect(Object.keys(measured("one"))).toHaveLength(CELLS);
});
afterAll(() => world.dispose());

describe("a bench", () => {
  it("does only the work of a method that is added, and asks the base nothing that it knows", async () => {
    await cp(world.path("runs", "one"), world.path("runs", "more"), { recursive: true });
    const written = (cell: string): number =>
      statSync(world.path("runs", "more", "cells", cell, "result.json")).mtimeMs;
    const before = Object.keys(measured("one")).map((cell) => [cell, written(cell)] as const);
    const added = 'methods.nearest={"editor": {"kind": "nearest"}}';
    const { status, stderr } = await startProgram(bench("more", "--set", added), options()).ended;
    expect(status, stderr).toBe(0);
    expect(stderr).toContain(`${CELLS} of ${CELLS + 2} cells are already measured`);
    expect(stderr.match(/^\[\d+\/8\] nearest /gm)).toHaveLength(2);
    expect(stderr.match(/^\[\d+\/8\]/gm)).toHaveLength(2);
    for (const [cell, mtimeMs] of before) expect(written(cell), cell).toBe(mtimeMs);
    for (const [cell, work] of Object.entries(worksOf("more")))
      if (cell.startsWith("nearest-")) expect(work, cell).toMatchObject({ baseAsked: 0 });
  });

  it("measures the same by two workers as by one", async () => {
    await runProgram(bench("two", "--jobs", "2"), options());
    expect(measured("two")).toEqual(measured("one"));
  });

  it("that is killed with kill -9 is finished by another that runs in its folder", async () => {
    const killed = startProgram(bench("shared"), options());
    await killed.said(`[1/${CELLS}]`);
    const other = startProgram(bench("shared"), options());
    await other.said("to train");
    killed.child.kill("SIGKILL");
    expect((await killed.ended).signal).toBe("SIGKILL");
    const { status, stderr } = await other.ended;
    expect(status, stderr).toBe(0);
    expect(measured("shared")).toEqual(measured("one"));
    expect(readdirSync(world.path("runs", "shared"))).not.toContain("claims");
  });

  it("loses no cell to a worker that is killed with kill -9", async () => {
    const running = startProgram(bench("worker"), options());
    const claims = new Claims(world.path("runs", "worker", "claims"));
    while ((await claims.held()).length === 0) await delay(5);
    const [claim = ""] = readdirSync(world.path("runs", "worker", "claims")).filter(
      (name) => !name.startsWith("."),
    );
    const holders = (): { pid: number }[] =>
      JSON.parse(readFileSync(world.path("runs", "worker", "claims", claim), "utf8")).holders;
    while (holders().length < 2) await delay(5);
    process.kill(holders()[1]?.pid ?? 0, "SIGKILL");
    const { status, stderr } = await running.ended;
    expect(status, stderr).toBe(0);
    expect(stderr).toContain("tried again later");
    expect(measured("worker")).toEqual(measured("one"));
  });

  it("ends with all its workers on Ctrl-C, and goes on when run again", async () => {
    const running = startProgram(bench("stopped", "--jobs", "2"), options());
    await running.said(`[1/${CELLS}]`);
    running.child.kill("SIGINT");
    expect((await running.ended).status).toBe(130);
    const folder = world.path("runs", "stopped");
    expect(existsSync(join(folder, "claims"))).toBe(false);
    expect(readdirSync(folder, { recursive: true }).filter((name) => String(name).endsWith(".tmp"))).toEqual(
      [],
    );
    await runProgram(bench("stopped"), options());
    expect(measured("stopped")).toEqual(measured("one"));
  });
});
