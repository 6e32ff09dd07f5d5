// A suite on a base model that comes as a recipe and has not been made.
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { runSuite } from "../../src/bench/suite_runner.js";
import { suiteOf } from "../support/suite_of.js";

vi.mock("../../src/config/paths.js", async (importOriginal) => ({
  ...(await importOriginal<typeof import("../../src/config/paths.js")>()),
  bundledModels: () => ["t5-mini"],
}));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "seprog-missing-"));
});
afterAll(() => rm(folder, { recursive: true }));

it("is refused with the command that makes it before anything is written", async () => {
  const suite = suiteOf({
    name: "tiny",
    model: "gpt2-mini",
    datasets: [{ name: "wikipedia" }],
    k: [1],
    methods: { seprog: { editor: { kind: "seprog" } } },
  });
  const run = join(folder, "run");
  const options = { folder: run, engine: { device: "cpu" }, jobs: 1, fresh: false, retrain: false };
  await expect(runSuite(suite, options)).rejects.toMatchObject({
    code: "CONFIG_INVALID",
    message: expect.stringContaining(
      "npx seprog-native pretrain assets/models/gpt2-mini/recipe.yaml --out assets/models/gpt2-mini",
    ),
  });
  expect(existsSync(run)).toBe(false);
});
