// Records measured again on the real engine: the same outputs, a record that was changed, data and editors that are gone.
import { appendFile, cp, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CellResult, cellResultSchema } from "../../src/evaluation/records.js";
import { startProgram } from "../support/program.js";
import { tinySuiteWorld } from "../support/tiny_suite.js";
import type { TinyWorld } from "../support/tiny_world.js";

let world: TinyWorld;
const run = (args: readonly string[]) => startProgram(args, { cwd: world.folder }).ended;

async function resultOf(folder: string): Promise<CellResult> {
  return cellResultSchema.parse(JSON.parse(await readFile(join(folder, "result.json"), "utf8")));
}

beforeAll(async () => {
  world = await tinySuiteWorld((tiny) => ({
    k: [2],
    methods: { seprog: tiny.method({ steps: 30 }), lookup: { editor: { kind: "lookup" } } },
    evaluation: { maxEdits: 6, minEpisodes: 3, timing: { warmUps: 1, repetitions: 2 } },
  }));
  const { status, stderr } = await run([
    "bench",
    "--suite",
    "suite.yaml",
    "--threads",
    "1",
    "--deterministic",
  ]);
  expect(status, stderr).toBe(0);
});
afterAll(() => world.dispose());

const cell = async (method: string): Promise<string> => {
  const names = await readdir(world.path("runs", "tiny", "cells"));
  return names.find((name) => name.startsWith(`${method}-`)) ?? "";
};

describe("a receipt", () => {
  it("says what a cell rests on", async () => {
    const folder = world.path("runs", "tiny", "cells", await cell("seprog"));
    const { receipt, provenance, cell: row } = await resultOf(folder);
    expect(receipt).toMatchObject({
      configHash: row.configHash,
      modelChecksum: provenance.modelChecksum,
      editorFingerprint: provenance.editorFingerprint,
      machine: { device: "cpu", threads: 1 },
      matmul: "default",
      kernels: "fused",
      seed: 0,
      deterministic: true,
    });
    for (const hash of [receipt?.dataHash, receipt?.tokenizerHash, receipt?.outputHash])
      expect(hash).toMatch(/^[0-9a-f]{64}$/);
  });
});

describe("verify", () => {
  it("finds the same outputs, to the last bit, and ends with 0", async () => {
    const before = await readdir(world.path("runs"), { recursive: true });
    const { status, stdout, stderr } = await run(["verify", "runs/tiny"]);
    expect(status, stderr).toBe(0);
    for (const method of ["seprog", "lookup"])
      expect(stdout).toMatch(
        new RegExp(
          `^${await cell(method)}: same outputs \\(\\d+ answers, losses equal to the last bit\\)$`,
          "m",
        ),
      );
    expect(await readdir(world.path("runs"), { recursive: true })).toEqual(before);
  });

  it("says that a record was changed, and ends with 1", async () => {
    const copy = await mkdtemp(join(tmpdir(), "seprog-verify-e2e-"));
    try {
      await cp(world.path("runs", "tiny"), copy, { recursive: true });
      const folder = join(copy, "cells", await cell("lookup"));
      const path = join(folder, "result.json");
      const { receipt } = await resultOf(folder);
      const text = await readFile(path, "utf8");
      await writeFile(path, text.replace(receipt?.outputHash ?? "none", "0".repeat(64)));
      const { status, stdout } = await run(["verify", folder]);
      expect(status).toBe(1);
      expect(stdout).toMatch(/OTHER OUTPUTS\n {2}0 of \d+ answers differ/);
      expect(stdout).toContain("nothing in the receipt differs");
    } finally {
      await rm(copy, { recursive: true });
    }
  });

  it("refuses to guess where the editor is gone or the data was changed", async () => {
    const record = join("runs", "tiny", "cells", await cell("seprog"));
    const editors = world.path("runs", "tiny", "editors");
    await rename(editors, world.path("elsewhere"));
    try {
      const gone = await run(["verify", record]);
      expect([gone.status, gone.stderr]).toEqual([1, expect.stringContaining("CHECKPOINT_INVALID")]);
      const named = await run(["verify", record, "--editors", "elsewhere"]);
      expect(named.stdout).toContain("same outputs");
    } finally {
      await rename(world.path("elsewhere"), editors);
    }
    const data = await readFile(world.dataFile, "utf8");
    await appendFile(world.dataFile, `\n${data.split("\n")[0]?.replace(/"id":"[^"]*"/, '"id":"another"')}`);
    try {
      const changed = await run(["verify", record]);
      expect([changed.status, changed.stderr]).toEqual([1, expect.stringContaining("DATA_INVALID")]);
      expect(changed.stderr).toContain("was measured on");
    } finally {
      await writeFile(world.dataFile, data);
    }
  });
});

describe("a profile", () => {
  const folder = (): string => world.path("runs", "profile");
  beforeAll(async () => {
    const { status, stderr } = await run([
      ...[
        "profile",
        "suite.yaml",
        "--methods",
        "lookup",
        "--k",
        "2",
        "--repetitions",
        "2",
        "--warm-ups",
        "0",
      ],
      ...["--threads", "1", "--out", "runs/profile", "--trace", "trace.json"],
    ]);
    expect(status, stderr).toBe(0);
  });

  it("is verified like a cell", async () => {
    const [name = ""] = await readdir(join(folder(), "profiles"));
    const same = await run(["verify", "runs/profile"]);
    expect([same.status, same.stdout], same.stderr).toEqual([0, `${name}: same outputs\n`]);
    const path = join(folder(), "profiles", name, "profile.json");
    const text = await readFile(path, "utf8");
    await writeFile(path, text.replace(/"outputHash":"[0-9a-f]{8}/, '"outputHash":"00000000'));
    const other = await run(["verify", path]);
    expect([other.status, other.stdout]).toEqual([1, expect.stringContaining("OTHER OUTPUTS")]);
  });

  it("leaves a trace with the engine's phases and its memory", async () => {
    const { traceEvents } = JSON.parse(await readFile(world.path("trace.json"), "utf8"));
    const named = (ph: string): string[] =>
      traceEvents
        .filter((event: { ph: string }) => event.ph === ph)
        .map((event: { name: string }) => event.name);
    expect(named("X")).toEqual(
      expect.arrayContaining(["inference, in scope", "host.batch", "answer.decode"]),
    );
    expect(named("C").length).toBeGreaterThan(2);
  });
});
