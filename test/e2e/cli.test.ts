// The program as people run it: every command on a tiny world, in processes of its own.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { answerLineSchema } from "../../src/evaluation/answer_lines.js";
import { runProgram, startProgram } from "../support/program.js";
import { TinyWorld, tinyRecords } from "../support/tiny_world.js";

const start = (args: readonly string[], input = "") => startProgram(args, { cwd: world.folder, input });
const run = (args: readonly string[], input = "") => runProgram(args, { cwd: world.folder, input });

const leftovers = (folder: string): string[] =>
  readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => /\.tmp|~$/.test(name));

let world: TinyWorld;
const threads = ["--threads", "1"];

beforeAll(async () => {
  world = await TinyWorld.create();
  await writeFile(world.path("recipe.yaml"), stringify(world.recipe()));
  await writeFile(
    world.path("suite.yaml"),
    stringify({
      name: "tiny",
      model: world.path("model"),
      datasets: [world.dataFile],
      k: [1, 2],
      methods: { seprog: world.method({ steps: 120 }) },
      evaluation: { maxEdits: 6, minEpisodes: 3, timing: { warmUps: 1, repetitions: 3 } },
    }),
  );
  const said = await run(["pretrain", "recipe.yaml", "--out", "model", ...threads]);
  expect(said).toContain("wordings");
});
afterAll(() => world.dispose());

describe("doctor", () => {
  it("finds nothing wrong", async () => {
    expect(await run(["doctor"])).toContain("All is well.");
  });
});

describe("bench", () => {
  it("prints the table, writes the run, and skips what is done when run again", async () => {
    const bench = ["bench", "--suite", "suite.yaml", ...threads];
    const table = await run(bench);
    expect(table).toMatch(/K +ES +DD/);
    expect(table).toMatch(/^mean/m);
    const folder = world.path("runs", "tiny");
    for (const name of ["config.json", "environment.json", "summary.json", "report.md", "report.html"])
      expect(existsSync(join(folder, name)), name).toBe(true);
    expect(leftovers(folder)).toEqual([]);
    const again = await start(bench).ended;
    expect(again.status).toBe(0);
    expect(again.stderr).toContain("2 of 2 cells are already measured");
    expect(again.stdout).toContain(table.split("\n").find((line) => line.startsWith("mean")));
  });

  it("draws a picture of the run", async () => {
    await run(["report", "runs/tiny", "--svg", "picture.svg"]);
    expect(readFileSync(world.path("picture.svg"), "utf8")).toContain("drawdown");
  });

  it("ends cleanly with 130 on Ctrl-C, and a stopped training goes on", async () => {
    const training = "methods.seprog.training";
    const longer = [
      "--set",
      `${training}.steps=1000`,
      "--set",
      `${training}.validateEveryEpochs=5`,
      "--seed",
      "1",
    ];
    const bench = ["bench", "--suite", "suite.yaml", "--out", "runs/stopped", ...longer, ...threads];
    const running = start(bench);
    await running.said("validation at step 100");
    running.child.kill("SIGINT");
    const { status, stderr } = await running.ended;
    expect(status).toBe(130);
    expect(stderr).toContain("stopped");
    const folder = world.path("runs", "stopped");
    expect(existsSync(join(folder, "summary.json"))).toBe(false);
    expect(leftovers(folder)).toEqual([]);
    expect(readdirSync(join(folder, "training"))).toHaveLength(1);
    await run(bench);
    expect(readdirSync(join(folder, "training"))).toEqual([]);
    expect(existsSync(join(folder, "summary.json"))).toBe(true);
  });

  it("says what is wrong with a configuration before anything is computed", async () => {
    const { status, stderr } = await start(["bench", "--suite", "suite.yaml", "--set", "kk=[1]"]).ended;
    expect(status).toBe(1);
    expect(stderr).toContain("unknown option `kk`");
  });
});

describe("a trained editor", () => {
  const editor = ["--editor", "editor", ...threads];
  const memory = [...editor, "--memory", "edits.safetensors"];
  const question = "Arden has its capital at";

  beforeAll(async () => {
    await run(["train", "--suite", "suite.yaml", "--out", "editor", ...threads]);
  });

  it("can be measured on a file it was not trained on", async () => {
    const records = tinyRecords().map((record) => JSON.stringify({ ...record, split: undefined }));
    await writeFile(world.path("other.jsonl"), records.join("\n"));
    const measured = await run([
      ...["evaluate", ...editor, "--suite", "suite.yaml", "--data", "other.jsonl"],
      ...[
        "--set",
        "k=[2]",
        "--set",
        "evaluation.maxEdits=16",
        "--schedule",
        "gap=1",
        "--lm-eval",
        "exported",
      ],
    ]);
    expect(measured).toContain("Report:");
    const summary = JSON.parse(readFileSync(world.path("runs", "evaluate-editor", "summary.json"), "utf8"));
    expect(summary.cells).toHaveLength(1);
    expect(summary.cells[0]).toMatchObject({ nEdits: 16, schedule: "gap=1" });
    const linesOf = (path: string) => readFileSync(path, "utf8").trimEnd().split("\n");
    const answers = linesOf(world.path("runs", "evaluate-editor", "answers.jsonl")).map((line) =>
      answerLineSchema.parse(JSON.parse(line)),
    );
    const ownOnes = answers.filter(({ kind }) => kind === "self");
    expect(ownOnes).toHaveLength(16);
    expect(ownOnes.filter(({ right }) => right).length / 16).toBe(summary.cells[0].ESself.value);
    expect(answers.every(({ gate }) => gate !== null)).toBe(true);
    const exported = readdirSync(world.path("exported", "editor"));
    const samples = exported.filter((name) => name.startsWith("samples_"));
    expect(samples.flatMap((name) => linesOf(world.path("exported", "editor", name)))).toHaveLength(
      answers.length,
    );
  });

  it("adds, lists, asks about and removes edits", async () => {
    expect(await run(["edit", "add", ...memory, "The capital of Arden is", "Berlin"])).toContain(
      "1  The capital",
    );
    await run(["edit", "add", ...memory, "The capital of Pellia is", "Oslo"]);
    const listed = JSON.parse(await run(["edit", "list", ...memory, "--json"]));
    expect(listed.map(({ id }: { id: number }) => id)).toEqual([1, 2]);

    const answer = JSON.parse(await run(["ask", ...memory, "--json", question]));
    expect(answer).toMatchObject({ question, base: "London", edit: expect.objectContaining({ id: 1 }) });
    expect(answer.gate > 0.5 || answer.edited === answer.base).toBe(true);

    await run(["edit", "remove", ...memory, "1", "2"]);
    expect(await run(["edit", "list", ...memory])).toBe("no edits\n");
    expect(JSON.parse(await run(["ask", ...memory, "--json", question]))).toMatchObject({
      base: "London",
      edited: "London",
      gate: null,
    });
  });

  it("refuses to remove what is not there, and the memory stays", async () => {
    await run(["edit", "add", ...memory, "The capital of Arden is", "Berlin"]);
    const before = readFileSync(world.path("edits.safetensors"));
    const { status, stderr } = await start(["edit", "remove", ...memory, "999"]).ended;
    expect(status).toBe(1);
    expect(stderr).toContain("DATA_INVALID");
    expect(readFileSync(world.path("edits.safetensors")).equals(before)).toBe(true);
  });

  it("reads questions from standard input and tries edits without keeping them", async () => {
    const before = readFileSync(world.path("edits.safetensors"));
    const said = await run(
      ["ask", ...memory, "--json", "--edit", "The capital of Lumen is=Rome"],
      "The capital of Lumen is\n\nThe capital of Istria is\n",
    );
    const answers = said
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(answers.map(({ question: asked }) => asked)).toEqual([
      "The capital of Lumen is",
      "The capital of Istria is",
    ]);
    expect(readFileSync(world.path("edits.safetensors")).equals(before)).toBe(true);
  });

  it("is refused for another base model", async () => {
    await run([
      "pretrain",
      "recipe.yaml",
      "--out",
      "other-model",
      "--seed",
      "5",
      "--set",
      "training.epochs=1",
      ...threads,
    ]);
    const { status, stderr } = await start(["ask", ...editor, "--model", "other-model", question]).ended;
    expect(status).toBe(1);
    expect(stderr).toContain("CHECKPOINT_INVALID");
  });
});
