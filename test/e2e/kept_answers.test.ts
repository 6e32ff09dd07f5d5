// What one run asked of a base model another need not ask, and its answers are the same.
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runSuite } from "../../src/bench/suite_runner.js";
import { packageRoot } from "../../src/config/paths.js";
import type { CellResult } from "../../src/evaluation/records.js";
import { suiteOf } from "../support/suite_of.js";
import { TINY_ENGINE, tinyRecords } from "../support/tiny_world.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "seprog-kept-"));
  const lines = tinyRecords().map((record) => JSON.stringify(record));
  await writeFile(join(folder, "lands.jsonl"), lines.join("\n"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The cells of a run, by method. */
async function measured(
  name: string,
  cacheDirectory: string | null,
  memoryBudgetBytes?: number,
): Promise<Map<string, CellResult>> {
  const suite = suiteOf({
    name: "kept",
    model: "t5-mini",
    datasets: [join(folder, "lands.jsonl")],
    k: [2],
    methods: { lookup: { editor: { kind: "lookup" } }, ft: { editor: { kind: "ft", maxSteps: 2 } } },
    evaluation: { minEpisodes: 1, maxEdits: 4, maxNewTokens: 6, timing: { warmUps: 0, repetitions: 1 } },
  });
  const results = new Map<string, CellResult>();
  await runSuite(suite, {
    folder: join(folder, name),
    engine: TINY_ENGINE,
    jobs: 1,
    fresh: false,
    retrain: false,
    answering: { cacheDirectory, ...(memoryBudgetBytes !== undefined && { memoryBudgetBytes }) },
    worker: join(packageRoot, "dist", "bench", "worker.js"),
    onEvent: (event) => {
      if (event.type === "cell") results.set(event.result.cell.method, event.result);
    },
  });
  return results;
}

const outputsOf = (cells: ReadonlyMap<string, CellResult>) =>
  [...cells].map(([method, { receipt, cell }]) => [
    method,
    receipt?.outputHash,
    cell.ES.value,
    cell.DD?.value,
  ]);

test("a base is asked once for all methods and runs, however the memory is cut", async () => {
  const kept = join(folder, "kept");
  const plain = await measured("plain", null);
  expect([...plain.values()].map(({ work }) => work?.baseReused)).toEqual([0, 0]);

  const cold = await measured("cold", kept, 64 * 2 ** 20);
  const asked = cold.get("lookup")?.work?.baseAsked ?? 0;
  expect(asked).toBeGreaterThan(0);
  expect(cold.get("ft")?.work).toMatchObject({ baseAsked: 0 });
  expect(outputsOf(cold)).toEqual(outputsOf(plain));

  const warm = await measured("warm", kept);
  for (const { work } of warm.values()) expect(work).toMatchObject({ baseAsked: 0 });
  expect(warm.get("lookup")?.work?.baseReused).toBe(asked);
  expect(outputsOf(warm)).toEqual(outputsOf(plain));
  // Costs are measured all the same.
  expect(warm.get("ft")?.timing?.inferenceWallMs[0]).toBeGreaterThan(0);

  // Damage costs what was damaged and nothing else.
  const [identity = ""] = await readdir(kept);
  for (const name of await readdir(join(kept, identity))) {
    const path = join(kept, identity, name);
    await writeFile(path, (await readFile(path, "utf8")).slice(10));
  }
  const mended = await measured("mended", kept);
  const again = mended.get("lookup")?.work?.baseAsked ?? 0;
  expect(again).toBeGreaterThan(0);
  expect(again).toBeLessThan(asked);
  expect(outputsOf(mended)).toEqual(outputsOf(plain));
});
