// Profiles as people take them: real cells in processes of their own, again after a stop, and plans beside them.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Plan } from "../../src/profile/plan_record.js";
import type { OperationSamples, ProfileFailure, ProfileRecord } from "../../src/profile/record.js";
import { profileRecordSchema } from "../../src/report/profile/record_schema.js";
import { runProgram, startProgram } from "../support/program.js";
import { tinySuiteWorld } from "../support/tiny_suite.js";
import type { TinyWorld } from "../support/tiny_world.js";

let world: TinyWorld;
// The other matrix library takes scratch of which a plan knows nothing: much beside so small a model.
const options = () => ({ cwd: world.folder, env: { SEPROG_MATMUL: "default" } });
const run = (args: readonly string[]) => runProgram(args, options());

const REPETITIONS = 4;
const profileAt = (k: string, ...more: readonly string[]): readonly string[] => {
  const times = ["--warm-ups", "1", "--repetitions", String(REPETITIONS), "--rounds", "2"];
  return ["profile", "suite.yaml", "--k", k, "--threads", "1", ...times, ...more];
};
const profile = (...more: readonly string[]): readonly string[] => profileAt("2", ...more);
const ended = (args: readonly string[]) => startProgram(args, options()).ended;

const record = (method: string, folder = "runs/profile-tiny"): ProfileRecord => {
  const name = readdirSync(world.path(folder, "profiles")).find((one) => one.startsWith(`${method}-`)) ?? "";
  return profileRecordSchema.parse(
    JSON.parse(readFileSync(world.path(folder, "profiles", name, "profile.json"), "utf8")),
  );
};

beforeAll(async () => {
  world = await tinySuiteWorld((tiny) => ({
    k: [1],
    methods: {
      seprog: tiny.method({ steps: 20 }),
      mend: { editor: { kind: "mend" }, training: { k: [2], labels: "given" } },
      ft: { editor: { kind: "ft", maxSteps: 2 } },
    },
  }));
});
afterAll(() => world.dispose());

const operationsOf = ({ trainStep, inScope, outScope }: ProfileRecord): OperationSamples[] => [
  ...("notApplicable" in trainStep ? [] : [trainStep]),
  inScope,
  outScope,
];

const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);

describe("profile", () => {
  let table = "";
  beforeAll(async () => {
    table = await run(profile());
  });

  it("prints the costs of every method at a K that is none of the suite's, and writes the reports", () => {
    expect(table).toContain("Costs at K = 2");
    for (const method of ["seprog", "mend", "ft"]) expect(table).toMatch(new RegExp(`^ *${method} `, "m"));
    const written = readdirSync(world.path("runs/profile-tiny"));
    for (const name of ["config.json", "environment.json", "report.html", "report.md", "report.csv"])
      expect(written).toContain(name);
    expect(written).not.toContain("models");
  });

  it.each(["seprog", "mend", "ft"])("splits every operation of %s without a remainder", (method) => {
    const operations = operationsOf(record(method));
    expect(operations).toHaveLength(method === "ft" ? 2 : 3);
    for (const { rounds, wallMs, phases, flops, memoryMap, peakBytes, baselineBytes } of operations) {
      expect(rounds).toBe(2);
      expect(wallMs).toHaveLength(REPETITIONS);
      for (const [i, whole] of wallMs.entries())
        expect(sum(phases.map((phase) => phase.wallMs[i] ?? Number.NaN))).toBeCloseTo(whole, 6);
      expect(flops?.forward).toBe(sum(phases.map((phase) => phase.flops?.forward ?? 0)));
      expect(flops?.forward).toBeGreaterThan(0);
      expect(Math.max(...peakBytes)).toBeGreaterThan(baselineBytes);
      expect(sum(Object.values(memoryMap ?? {}))).toBe(Math.max(...peakBytes));
      expect(phases.map(({ name }) => name)).toContain("host.batch");
      expect(phases.flatMap(({ name, group }) => (group === "rest" ? [name] : []))).toEqual(["rest"]);
    }
  });

  it("tells what was paid once, with which editor, and on what the figures rest", () => {
    const mend = record("mend");
    expect(mend).toMatchObject({ editor: "fresh", successes: null, K: 2, warmUps: 1 });
    expect(mend.oneOff.map(({ name }) => name)).toEqual(["load_model", "make_editor", "train_editor"]);
    expect(mend.receipt.outputHash).toMatch(/^[0-9a-f]{64}$/);
    const ft = record("ft");
    expect(ft.trainStep).toEqual({ notApplicable: "ft learns nothing before it edits" });
    expect(ft).toMatchObject({ editor: "untrained", quality: null });
    expect(ft.rows.trainStep).toBeNull();
    expect(ft.rows.requests.editText).toHaveLength(2);
  });

  it("keeps what is done, measures anew what is other, and tells what cannot be measured", async () => {
    const folder = world.path("runs/profile-tiny/profiles");
    const written = () =>
      readdirSync(folder).map((name) => statSync(`${folder}/${name}/profile.json`).mtimeMs);
    const before = written();
    for (const name of readdirSync(folder))
      expect(readdirSync(`${folder}/${name}`)).toEqual(["profile.json"]);
    const again = await ended(profile());
    expect(again.stderr).toContain("3 cells to profile, 3 of them known");
    expect(written()).toEqual(before);

    // The split that is tested on holds three records.
    const partly = await ended(profileAt("2,9", "--methods", "ft"));
    expect(partly.status).toBe(1);
    expect(partly.stderr).toContain("DATA_INVALID");
    const failed = readdirSync(folder).find((name) => name.includes("K9")) ?? "";
    const failure: ProfileFailure = JSON.parse(readFileSync(`${folder}/${failed}/failure.json`, "utf8"));
    expect(failure).toMatchObject({ kind: "profile-failure", method: "ft", K: 9, code: "DATA_INVALID" });
  });
});

describe("Ctrl-C", () => {
  it("ends with 130 and loses the running round alone", async () => {
    const running = startProgram(profile("--out", "runs/stopped"), options());
    await running.said("K=2: round 1 of 2");
    running.child.kill("SIGINT");
    expect((await running.ended).status).toBe(130);
    const profiles = world.path("runs/stopped/profiles");
    const cell = readdirSync(profiles).find((name) => name.startsWith("seprog-")) ?? "";
    const kept = statSync(`${profiles}/${cell}/rounds/1.json`).mtimeMs;
    const first = startProgram(profile("--out", "runs/stopped"), options());
    await first.said("ft ");
    expect(statSync(`${profiles}/${cell}/rounds/1.json`).mtimeMs).toBe(kept);
    expect((await first.ended).status).toBe(0);
  });
});

describe("a bench run's editors", () => {
  it("are used, with what the bench found of them", async () => {
    const suite = [
      "--suite",
      "suite.yaml",
      "--methods",
      "seprog",
      "--set",
      "k=[2]",
      "--set",
      "evaluation.maxEdits=4",
    ];
    await run(["bench", ...suite, "--threads", "1"]);
    await run(profile("--methods", "seprog", "--editors", "runs/tiny", "--out", "runs/trained"));
    const trained = record("seprog", "runs/trained");
    expect(trained.editor).toBe("trained");
    expect(trained.successes).toBeGreaterThanOrEqual(0);
    expect(trained.quality?.ES.n).toBeGreaterThan(0);
    expect(trained.oneOff.find(({ name }) => name === "train_editor")).toMatchObject({
      source: "training record",
      steps: 20,
    });
  });
});

describe("profile --plan", () => {
  it("says what fits a device, and how far it is from what was measured", async () => {
    const planned = await run(profile("--plan", "--device", "cpu:8gb", "--against", "runs/profile-tiny"));
    expect(planned).toContain("Planned for cpu:8gb");
    const plan: Plan = JSON.parse(readFileSync(world.path("runs/plan-tiny-cpu-8gb/plan.json"), "utf8"));
    expect(plan.cells.map(({ method, fits }) => [method, fits])).toEqual([
      ["seprog", true],
      ["mend", true],
      ["ft", true],
    ]);
    for (const { method, comparisons } of plan.cells) {
      expect(comparisons).toHaveLength(method === "ft" ? 2 : 3);
      for (const { operation, plannedBytes, measuredBytes } of comparisons)
        expect(Math.abs(plannedBytes / measuredBytes - 1), `${method} ${operation}`).toBeLessThan(0.1);
    }
  });

  it("refuses a device it knows nothing of, and a shape", async () => {
    const device = await ended(profile("--plan", "--device", "v100"));
    expect(device.status).toBe(1);
    expect(device.stderr).toContain("v100-32gb");
    const shape = await ended(profile("--shapes", "t5-lage"));
    expect(shape.status).toBe(1);
    expect(shape.stderr).toContain("t5-large");
  });
});
