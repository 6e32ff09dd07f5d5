// A pytorch_model.bin is a program for the pickle machine. Those that would run something are refused, nothing runs.
import { copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type Engine, openEngine } from "../../src/native/engine.js";
import { TINY_T5 } from "../support/tiny_models.js";

const FIXTURES = fileURLToPath(new URL("../fixtures/golden/bin", import.meta.url));

/** What the hostile files would create. */
const WITNESSES = [join(tmpdir(), "seprog_pwned"), "/tmp/seprog_pwned"];

let engine: Engine;
let folder: string;
beforeAll(async () => {
  engine = await openEngine({ threads: 1 });
});
afterAll(() => engine.close());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "seprog-hostile-"));
  writeFileSync(join(folder, "config.json"), JSON.stringify(TINY_T5));
  for (const witness of WITNESSES) rmSync(witness, { force: true });
});
afterEach(() => rmSync(folder, { recursive: true }));

test.each([
  ["hostile_zip.bin", /pytorch_model\.bin.*posix\.system.*nothing was run/],
  ["hostile_legacy.bin", /pytorch_model\.bin.*posix\.system.*nothing was run/],
  ["truncated_zip.bin", /pytorch_model\.bin.*truncated/],
  ["truncated_legacy.bin", /pytorch_model\.bin.*truncated/],
])("%s is refused with a code", async (file, words) => {
  copyFileSync(join(FIXTURES, file), join(folder, "pytorch_model.bin"));
  await expect(engine.loadModel(folder)).rejects.toMatchObject({
    code: "CHECKPOINT_INVALID",
    message: expect.stringMatching(words),
  });
  expect(WITNESSES.filter((witness) => existsSync(witness))).toEqual([]);
});

test("a sound file of another model says what is missing", async () => {
  copyFileSync(join(FIXTURES, "zip.bin"), join(folder, "pytorch_model.bin"));
  await expect(engine.loadModel(folder)).rejects.toMatchObject({
    code: "WEIGHT_MISSING",
    message: expect.stringContaining("shared.weight"),
  });
});
