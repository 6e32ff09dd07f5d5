// Processes that are killed (kill -9) in the midst of training or editing: what they leave is whole, going on ends with
// the same bits, and the base is what it was.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { EditSession } from "../../src/bench/edit_session.js";
import { trainFromSuite } from "../../src/bench/train_run.js";
import { type Edit, editLabel } from "../../src/evaluation/plain_edits.js";
import { openEngine } from "../../src/index.js";
import { readTrained, type TrainedEditor } from "../../src/training/trained_editors.js";
import { childScript, requireBuiltPackage } from "../support/built_package.js";
import { type Ended, runProgram, startProgram } from "../support/program.js";
import { suiteOf } from "../support/suite_of.js";
import { TINY_ENGINE, TinyWorld } from "../support/tiny_world.js";

/** A moment of a program: around a call of node:fs/promises on a path whose last part matches. */
interface Moment {
  readonly call: "mkdir" | "rename";
  readonly target: string;
  readonly when: "before" | "after";
}

// One matrix library in all processes: last bits depend on it.
const MATMUL = { SEPROG_MATMUL: "default" };
const THREADS = ["--threads", "1"];

const TRAINING = {
  k: [2],
  episodesPerStep: 2,
  labels: "given",
  learningRate: 1e-4,
  warmupSteps: 2,
  steps: 8,
  stepsPerEpoch: 2,
  checkpointEveryEpochs: 1,
  validateEveryEpochs: 3,
  validationEpisodes: 1,
};

const METHODS = {
  seprog: { editor: { kind: "seprog", hiddenWidth: 64, promptLength: 4 }, training: TRAINING },
  enn: { editor: { kind: "enn" }, training: TRAINING },
  slag: {
    editor: { kind: "slag", innerSteps: 2, otherRows: 2, lstmWidth: 16, conditionWidth: 32 },
    training: TRAINING,
  },
  mend: { editor: { kind: "mend" }, training: TRAINING },
  serac: {
    editor: { kind: "serac", classifier: { source: "directory", path: "bert-mini" } },
    training: TRAINING,
  },
};

let world: TinyWorld;
let baseFiles: Readonly<Record<string, string>>;

const run = (args: readonly string[]): Promise<string> =>
  runProgram([...args, ...THREADS], { cwd: world.folder, env: MATMUL });

/** Runs the program up to a moment at which it is killed. */
async function killed(args: readonly string[], moment: Moment): Promise<Ended> {
  const ended = await startProgram([...args, ...THREADS], {
    cwd: world.folder,
    env: { ...MATMUL, SEPROG_TEST_KILL: JSON.stringify(moment) },
    nodeArgs: ["--import", childScript("kill_at.mjs")],
  }).ended;
  return ended;
}

/** In this process, from the newest checkpoint if there is one. */
const trainHere = (method: keyof typeof METHODS, out: string): Promise<TrainedEditor> =>
  trainFromSuite(suiteOf(contentOf(method)), {
    outDirectory: world.path(out),
    engine: TINY_ENGINE,
    fresh: false,
  });

/** Name and SHA-256 of every file below a folder; none if it is not there. */
function filesOf(folder: string): Record<string, string> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return Object.fromEntries(
    entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => [
        path.slice(folder.length),
        createHash("sha256").update(readFileSync(path)).digest("hex"),
      ]),
  );
}

const suiteFile = (method: string): string => `${method}.yaml`;
const contentOf = (method: keyof typeof METHODS | "ft"): object => ({
  name: "tiny",
  model: world.path("model"),
  datasets: [{ name: world.dataFile }],
  k: [2],
  methods: { [method]: method === "ft" ? { editor: { kind: "ft", maxSteps: 5 } } : METHODS[method] },
  evaluation: { maxEdits: 4, minEpisodes: 2, timing: { warmUps: 0, repetitions: 1 } },
});

beforeAll(async () => {
  requireBuiltPackage();
  Object.assign(process.env, MATMUL);
  world = await TinyWorld.create();
  await world.pretrain("model", { epochs: 2 });
  baseFiles = filesOf(world.path("model"));
  for (const method of [...Object.keys(METHODS), "ft"] as (keyof typeof METHODS | "ft")[])
    await writeFile(world.path(suiteFile(method)), stringify(contentOf(method)));
});
afterAll(() => world.dispose());

describe("a killed training", () => {
  it.each(Object.keys(METHODS) as (keyof typeof METHODS)[])(
    "goes on to the same bits from its checkpoint: %s",
    async (method) => {
      const out = `${method}-parts`;
      const train = ["train", "--suite", suiteFile(method), "--out", out];
      const work = world.path(`${out}.training`);

      // While the first checkpoint is being written: the same code for every method, so one of them is enough.
      if (method === "enn") {
        const first = await killed(train, { call: "mkdir", target: "^\\.step-00000002", when: "after" });
        expect(first.signal, first.stderr).toBe("SIGKILL");
        expect(readdirSync(work).filter((name) => name.startsWith("step-"))).toEqual([]);
      }

      // Behind the checkpoint of step 4, in the midst of what follows.
      const second = await killed(train, { call: "rename", target: "^step-00000004$", when: "after" });
      expect(second.signal, second.stderr).toBe("SIGKILL");
      expect(readdirSync(work)).toContain("step-00000004");
      expect(readdirSync(world.folder)).not.toContain(out);

      const parts = await trainHere(method, out);
      const whole = await trainHere(method, `${method}-whole`);
      expect({ ...parts.training, wallMs: 0 }).toEqual({ ...whole.training, wallMs: 0 });
      expect(parts.fingerprint).toBe(whole.fingerprint);
      const { "/trained.json": _, ...partsFiles } = filesOf(world.path(out));
      const { "/trained.json": __, ...wholeFiles } = filesOf(world.path(`${method}-whole`));
      expect(partsFiles).toEqual(wholeFiles);
      expect(readdirSync(world.folder)).not.toContain(`${out}.training`);
      expect(filesOf(world.path("model"))).toEqual(baseFiles);
    },
  );

  it("is done again where only the finished editor was still to be put in its place", async () => {
    const train = ["train", "--suite", suiteFile("enn"), "--out", "enn-late"];
    const { signal } = await killed(train, { call: "rename", target: "^enn-late$", when: "before" });
    expect(signal).toBe("SIGKILL");
    expect(readdirSync(world.folder)).not.toContain("enn-late");
    const late = await trainHere("enn", "enn-late");
    expect(late.fingerprint).toBe((await readTrained(world.path("enn-whole"))).fingerprint);
  });
});

describe("a killed edit", () => {
  const QUESTIONS = ["The capital of Arden is", "Corvia has its capital at"];

  async function baseAnswers(): Promise<unknown> {
    await using engine = await openEngine(TINY_ENGINE);
    await using model = await engine.loadModel(world.path("model"));
    return await model.askAll(QUESTIONS);
  }

  it.each([
    // The core writes the rows of a memory; words are written here.
    ["seprog", { call: "mkdir", target: "^kept$", when: "after" }],
    ["serac", { call: "rename", target: "^serac\\.edits$", when: "before" }],
  ] as const)("leaves the edits before it or with it, and the base: %s", async (kind, moment) => {
    const before = await baseAnswers();
    const editor = world.path(`${kind}-parts`);
    const memoryFile = world.path("kept", `${kind}.edits`);
    const open = () => EditSession.open({ editor, memoryFile, memoryMustExist: false, engine: TINY_ENGINE });
    const labels = async (session: EditSession) => (await session.list()).map(({ label }) => label);
    const [arden, corvia, lumen] = ["Arden", "Corvia", "Lumen"].map((land) => ({
      question: `The capital of ${land} is`,
      answer: "Oslo",
    })) as [Edit, Edit, Edit];
    {
      await using session = await open();
      await session.add([arden]);
    }
    const add = ["edit", "add", "--editor", editor, "--memory", memoryFile, corvia.question, corvia.answer];
    const { signal, stderr } = await killed(add, moment);
    expect(signal, stderr).toBe("SIGKILL");

    await using session = await open();
    const kept = await labels(session);
    expect([[editLabel(arden)], [editLabel(arden), editLabel(corvia)]]).toContainEqual(kept);
    await session.add([lumen]);
    expect(await labels(session)).toEqual([...kept, editLabel(lumen)]);
    expect(await baseAnswers()).toEqual(before);
    expect(filesOf(world.path("model"))).toEqual(baseFiles);
  });

  it("costs its cell alone where a bench fine-tunes: the cell is not there, and then it is the same", async () => {
    const bench = (name: string) => ["bench", "--suite", suiteFile("ft"), "--out", `runs/${name}`];
    const cell = (name: string): string => {
      const cells = world.path("runs", name, "cells");
      return join(cells, ...readdirSync(cells));
    };
    const { status, stderr } = await killed(bench("parts"), {
      call: "rename",
      target: "^result\\.json$",
      when: "before",
    });
    expect(status, stderr).toBe(1);
    expect(stderr).toContain("SIGKILL");
    expect(readdirSync(cell("parts"))).not.toContain("result.json");
    await run(bench("parts"));
    await run(bench("whole"));
    const edits = (name: string) => readFileSync(join(cell(name), "edits.jsonl"), "utf8");
    expect(edits("parts")).toBe(edits("whole"));
    expect(filesOf(world.path("model"))).toEqual(baseFiles);
  });
});
