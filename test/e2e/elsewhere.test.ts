// What others made, through the program: a model folder edited by plain training, answers in a file, published data.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { copyFile, cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { assetPath } from "../../src/config/paths.js";
import { type AnswerLine, answerLineSchema } from "../../src/evaluation/answer_lines.js";
import {
  type NamedQuestion,
  type QuestionEpisode,
  readQuestions,
} from "../../src/evaluation/question_file.js";
import {
  type CellResult,
  cellResultSchema,
  type Summary,
  summarySchema,
} from "../../src/evaluation/records.js";
import { openEngine } from "../../src/native/engine.js";
import { EditCodec } from "../../src/tokenizers/edit_codec.js";
import { unpackRows } from "../../src/tokenizers/token_rows.js";
import { Tokenizer } from "../../src/tokenizers/tokenizer.js";
import { runProgram, startProgram } from "../support/program.js";
import { TINY_ENGINE, TinyWorld, tinyRecords } from "../support/tiny_world.js";
import { mendRow } from "../support/zsre_rows.js";

const start = (args: readonly string[]) => startProgram(args, { cwd: world.folder }).ended;
const run = (args: readonly string[]) => runProgram(args, { cwd: world.folder });

let world: TinyWorld;
const common = ["--suite", "suite.yaml", "--threads", "1"];

const summaryIn = (folder: string): Summary =>
  summarySchema.parse(JSON.parse(readFileSync(world.path(folder, "summary.json"), "utf8")));
/** Of the only cell. */
const resultIn = (folder: string): CellResult => {
  const [name = "", ...others] = readdirSync(world.path(folder, "cells"));
  expect(others).toEqual([]);
  const path = world.path(folder, "cells", name, "result.json");
  return cellResultSchema.parse(JSON.parse(readFileSync(path, "utf8")));
};
const reportIn = (folder: string): string => readFileSync(world.path(folder, "report.md"), "utf8");
const linesIn = (path: string): unknown[] =>
  readFileSync(world.path(path), "utf8")
    .trimEnd()
    .split("\n")
    .map((line): unknown => JSON.parse(line));
const answersIn = (folder: string): AnswerLine[] =>
  linesIn(join(folder, "answers.jsonl")).map((line) => answerLineSchema.parse(line));
const writeLines = (path: string, rows: readonly unknown[]) =>
  writeFile(world.path(path), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));

/** Trains a copy of the base on what `answers` says and writes it as a model folder. */
async function trainElsewhere(folder: string, answers: ReadonlyMap<string, string>): Promise<void> {
  await using engine = await openEngine(TINY_ENGINE);
  const base = await engine.loadModel(world.path("model"));
  const codec = new EditCodec(await Tokenizer.load(world.path("model")), base.info);
  const tuner = await engine.createFineTuner({ optimizer: { kind: "adam" } }, base);
  const batch = {
    source: codec.sources([...answers.keys()]),
    target: codec.targets([...answers.values()]),
  };
  for (let step = 0; step < 150; step++) await tuner.trainStep(batch, { learningRate: 2e-3 });
  await mkdir(world.path(folder), { recursive: true });
  await (await tuner.snapshot()).save(world.path(folder));
  await copyFile(world.path("model", "tokenizer.json"), world.path(folder, "tokenizer.json"));
}

/** What a system with these edits should say to everything: the edits' answers, else what is true. */
function wanted(edited: ReadonlyMap<string, string>): Map<string, string> {
  return new Map(
    tinyRecords().flatMap(({ id, x_e, in_scope, y_loc }) =>
      [x_e, ...in_scope.map(({ x }) => x)].map((x) => [x, edited.get(id) ?? y_loc[0] ?? ""] as const),
    ),
  );
}

let episode: QuestionEpisode;
let questions: readonly NamedQuestion[];

beforeAll(async () => {
  world = await TinyWorld.create();
  await world.pretrain("model");
  await writeFile(
    world.path("suite.yaml"),
    stringify({
      name: "tiny",
      model: "./model",
      datasets: [world.dataFile],
      k: [2],
      methods: { ft: { editor: { kind: "ft" } } },
      evaluation: { maxEdits: 2, minEpisodes: 1, bootstrap: { samples: 50 } },
    }),
  );
  await run(["evaluate", "--questions-out", "questions.jsonl", ...common]);
  const [first] = await readQuestions(world.path("questions.jsonl"));
  if (first === undefined) throw new Error("expected an episode");
  episode = first;
  questions = first.questions;
  await trainElsewhere("edited", wanted(new Map(episode.edits.map(({ id, y_e }) => [id, y_e]))));
  await trainElsewhere(
    "edited-once",
    wanted(new Map(episode.edits.slice(0, 1).map(({ id, y_e }) => [id, y_e]))),
  );
});
afterAll(() => world.dispose());

describe("a model folder edited elsewhere", () => {
  const edited = ["--edited", "edited", "--questions", "questions.jsonl", "--out", "runs/edited"];

  it("is measured against its base as our editors are", async () => {
    const said = await run(["evaluate", ...edited, "--lm-eval", "exported", ...common]);
    expect(said).toMatch(/K +ES +DD\n/);
    const summary = summaryIn("runs/edited");
    expect(summary).toMatchObject({ suite: "edited", notes: [], missing: [] });
    expect(summary.environment).toHaveProperty("matmul");
    expect(summary.cells).toHaveLength(1);
    const { cell, detail, timing, provenance, work } = resultIn("runs/edited");
    expect(summary.cells[0]).toEqual(cell);
    expect(cell).toMatchObject({
      ...{ method: "edited", variant: "edited", model: "model", seed: null, K: 2, nEdits: 2 },
      schedule: "simultaneous",
      ES: { value: 1 },
      ESself: { value: 1 },
      DD: { value: 0 },
      base: { ES: { value: 0 } },
      teacherForced: { ES: { value: 1 } },
      train: null,
      inference: null,
    });
    expect(detail.klOut?.value).toBeGreaterThan(0);
    expect([timing, provenance.episodes, provenance.training]).toEqual([null, 1, "elsewhere"]);
    expect(work?.questions).toBe(questions.length);
    // Whose answers they are: the folder as it was named, the weights as the engine read them.
    await using engine = await openEngine(TINY_ENGINE);
    const { checksum } = (await engine.loadModel(world.path("edited"))).info;
    expect(cell.origin).toEqual({ kind: "edited", sources: [{ path: "edited", checksum }] });
  });

  it("has a report as a run of bench has, without costs that nobody measured", async () => {
    const markdown = reportIn("runs/edited");
    expect(markdown).toMatch(/\| K \| ES \| DD \|\n/);
    expect(markdown).toMatch(/\| 2 \| 1\.000/);
    expect(markdown).toContain("Times and peaks of edited are n/a: the edits were made elsewhere");
    expect(markdown).toContain("## Where the answers come from");
    expect(markdown).toMatch(/model folder edited elsewhere \| edited \| [0-9a-f]{16,} \| model/);
    expect(markdown).toContain("## A sample of edits");
    for (const { x_e } of episode.edits) expect(markdown).toContain(x_e);
    expect(markdown).not.toMatch(/infer|answers\/s|\b0 ms\b|\b0 B\b/);
    const html = readFileSync(world.path("runs", "edited", "report.html"), "utf8");
    expect(html).toContain("Where the answers come from");
    expect(await run(["report", "runs/edited", "--out", "again", "--svg", "again/picture.svg"])).toMatch(
      /K +ES +DD\n/,
    );
    expect(reportIn("again")).toBe(markdown);
  });

  it("is never written over a run of a suite", async () => {
    await mkdir(world.path("runs", "suite"), { recursive: true });
    await writeFile(world.path("runs", "suite", "config.json"), "{}");
    const { status, stderr } = await start([
      ...[
        "evaluate",
        "--edited",
        "edited",
        "--questions",
        "questions.jsonl",
        "--out",
        "runs/suite",
        ...common,
      ],
    ]);
    expect([status, readdirSync(world.path("runs", "suite"))]).toEqual([1, ["config.json"]]);
    expect(stderr).toMatch(/CONFIG_INVALID: .*--out.*runs\/suite holds a run of a suite/);
  });

  it("says what the folder's model says, question by question", async () => {
    const lines = answersIn("runs/edited");
    expect(lines).toHaveLength(questions.length);
    await using engine = await openEngine(TINY_ENGINE);
    for (const [folder, said] of [
      ["edited", lines.map(({ edited: answer }) => answer)],
      ["model", lines.map(({ base }) => base)],
    ] as const) {
      const model = await engine.loadModel(world.path(folder));
      const codec = new EditCodec(await Tokenizer.load(world.path("model")), model.info);
      const source = codec.sources(lines.map(({ question }) => question));
      const { tokens } = await model.generate(source, { maxNewTokens: 32, ...codec.generation });
      expect(unpackRows(tokens).map((ids) => codec.answer(ids))).toEqual(said);
    }
  });

  it("is exported in lm-evaluation-harness's layout", () => {
    const [folder] = readdirSync(world.path("exported"));
    const names = readdirSync(world.path("exported", folder ?? ""));
    expect(names.filter((name) => name.startsWith("results_"))).toHaveLength(1);
    const samples = names.filter((name) => name.startsWith("samples_"));
    const count = samples.flatMap((name) => linesIn(join("exported", folder ?? "", name))).length;
    expect(count).toBe(questions.length);
  });

  it("that holds the base's own weights changes nothing, and that is said", async () => {
    const said = await run([
      ...["evaluate", "--edited", "model", "--questions", "questions.jsonl", "--out", "runs/same", ...common],
    ]);
    expect(said).toContain("the base's own weights");
    const { cell, detail } = resultIn("runs/same");
    expect([cell.ES.value, cell.DD?.value, detail.klOut?.value]).toEqual([0, 0, 0]);
    expect(reportIn("runs/same")).toContain("the base's own weights");
  });

  it("is measured on the edits that a file says are in it, for each K a model", async () => {
    const own = episode.edits.map(({ id, y_e }) => {
      const found = tinyRecords().find((record) => record.id === id);
      return { ...found, split: undefined, y_e_options: [y_e] };
    });
    await writeLines("edits.jsonl", own);
    await cp(world.path("edited"), world.path("by-k", "K2"), { recursive: true });
    await cp(world.path("edited-once"), world.path("by-k", "K1"), { recursive: true });
    const args = [
      "evaluate",
      "--edited",
      "by-k",
      "--data",
      "edits.jsonl",
      "--k",
      "1,2",
      "--out",
      "runs/by-k",
    ];
    await run([...args, "--out-of-scope", world.dataFile, ...common]);
    const { cells } = summaryIn("runs/by-k");
    expect(cells.map(({ K, nEdits, ESself }) => [K, nEdits, ESself.value])).toEqual([
      [1, 1, 1],
      [2, 2, 1],
    ]);
    const lonely = await start(["evaluate", "--edited", "edited", "--data", "edits.jsonl", ...common]);
    expect(lonely.status).toBe(1);
    expect(lonely.stderr).toMatch(/DATA_INVALID: .*--out-of-scope/);
  });

  it("has a folder for each step of a sequence that is asked about on the way", async () => {
    await run(["evaluate", "--questions-out", "steps.jsonl", "--schedule", "immediate", ...common]);
    const [sequence] = await readQuestions(world.path("steps.jsonl"));
    expect(sequence?.edits).toEqual(episode.edits);
    const args = [
      "evaluate",
      "--edited",
      "steps",
      "--questions",
      "steps.jsonl",
      "--out",
      "runs/steps",
      ...common,
    ];
    const missing = await start(args);
    expect(missing.status).toBe(1);
    expect(missing.stderr).toMatch(/CHECKPOINT_INVALID: .*after-1, .*after-2/);
    const place = world.path("steps", sequence?.name ?? "");
    await cp(world.path("edited-once"), join(place, "after-1"), { recursive: true });
    await cp(world.path("edited"), join(place, "after-2"), { recursive: true });
    await run(args);
    expect(resultIn("runs/steps").cell).toMatchObject({
      schedule: "immediate",
      ES: { value: 1 },
      ESself: { value: 1 },
    });
    // After the first edit alone the second one's question is answered as ever.
    await cp(world.path("edited-once"), join(place, "after-2"), { recursive: true });
    await run(args);
    expect(resultIn("runs/steps").cell.ESself.value).toBe(0.5);
  });

  it("with a tokenizer that reads the questions otherwise is refused", async () => {
    await cp(world.path("edited"), world.path("other-words"), { recursive: true });
    await copyFile(
      assetPath("models", "gpt2-mini", "tokenizer.json"),
      world.path("other-words", "tokenizer.json"),
    );
    const { status, stderr } = await start([
      ...["evaluate", "--edited", "other-words", "--questions", "questions.jsonl", ...common],
    ]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/CHECKPOINT_INVALID: expected the tokenizer of .*model in .*other-words/);
  });

  it("of another family than the base is refused", async () => {
    await cp(world.path("edited"), world.path("broken"), { recursive: true });
    const config = JSON.parse(readFileSync(world.path("broken", "config.json"), "utf8"));
    await writeFile(world.path("broken", "config.json"), JSON.stringify({ ...config, model_type: "gpt5" }));
    const { status, stderr } = await start([
      ...["evaluate", "--edited", "broken", "--questions", "questions.jsonl", ...common],
    ]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/UNSUPPORTED|CHECKPOINT_INVALID/);
  });
});

describe("answers of any system", () => {
  const args = ["evaluate", "--predictions", "answers.jsonl", "--questions", "questions.jsonl"];

  /** What the edited model said, as the file of a system. */
  const predictions = (withBase: boolean) => {
    const lines = answersIn("runs/edited");
    return questions.map(({ id, x, group }) => {
      const line = lines.find(({ question, kind }) => question === x && kind === group);
      return { id, answer: line?.edited, ...(withBase && { base: line?.base }) };
    });
  };

  it("have the figures of the model that gave them", async () => {
    const { cell: elsewhere, detail, perEpisode } = resultIn("runs/edited");
    await writeLines("answers.jsonl", predictions(true));
    await run([...args, "--name", "theirs", "--out", "runs/theirs", ...common]);
    const { cell, ...result } = resultIn("runs/theirs");
    const checksum = createHash("sha256")
      .update(readFileSync(world.path("answers.jsonl")))
      .digest("hex");
    const origin = { kind: "predictions", sources: [{ path: "answers.jsonl", checksum }] };
    expect(cell).toEqual({
      ...elsewhere,
      ...{ method: "theirs", variant: "predictions", origin, model: null, configHash: cell.configHash },
      // What takes a model's tokens, which text has none of.
      ...{ teacherForced: { ES: null, DD: null }, leakGap: null },
    });
    expect(result.detail).toEqual({ ...detail, klOut: null, nllIn: null });
    expect(result.perEpisode).toEqual(perEpisode);
    expect(result.provenance).toMatchObject({ modelChecksum: null, device: null, threads: null });
    expect(summaryIn("runs/theirs").environment).not.toHaveProperty("device");
    expect(reportIn("runs/theirs")).toContain(`answers in a file | answers.jsonl | ${checksum}`);
  });

  it("of several systems stand side by side in one folder", async () => {
    await writeLines(
      "stale.jsonl",
      predictions(true).map((line) => ({ ...line, answer: line.base })),
    );
    const folder = ["--out", "runs/together", ...common];
    await run([...args, "--name", "a/b: theirs", ...folder]);
    const both = ["evaluate", "--predictions", "stale.jsonl", "--questions", "questions.jsonl", ...folder];
    const said = await run(both);
    expect(said).toMatch(/Edit success ES, mean over K[\s\S]*stale +a\/b: theirs|a\/b: theirs +stale/);
    // The same questions: what one changes is compared edit by edit, and a second time replaces the first.
    await run(both);
    const { cells, notes } = summaryIn("runs/together");
    expect(cells.map(({ method, ES }) => [method, ES.value])).toEqual([
      ["a/b: theirs", 1],
      ["stale", 0],
    ]);
    expect(notes.filter((note) => note.startsWith("stale: "))).toHaveLength(2);
    expect(answersIn("runs/together")).toHaveLength(2 * questions.length);
    const markdown = reportIn("runs/together");
    expect(markdown).toMatch(/## Edit success ES, mean over K/);
    expect(markdown).toMatch(/### a\/b: theirs on .*[\s\S]*### stale on /);
    expect(markdown).not.toMatch(/\b0 ms\b|\b0 B\b/);
    const listed = await start(["verify", "runs/together"]);
    expect(listed.status).not.toBe(0);
    expect(listed.stderr).toMatch(/UNSUPPORTED|DATA_INVALID/);
  });

  it("are compared with a base model that is named", async () => {
    await writeLines("answers.jsonl", predictions(false));
    const bare = await run([...args, "--out", "runs/bare", ...common]);
    expect(bare).toContain("put them into `base`");
    expect(resultIn("runs/bare").cell).toMatchObject({ DD: null, base: { accuracy: null, ES: null } });
    const markdown = reportIn("runs/bare");
    expect(markdown).toContain("DD, DDhard and what else is compared with it are not known");
    expect(markdown).toMatch(/\| n\/a \| n\/a \|/);
    expect(markdown).toMatch(/\| unrelated \| .* \| \*not known\* \| .* \| base not known \|/);
    await run([...args, "--model", "model", "--out", "runs/based", ...common]);
    const [based, edited] = [resultIn("runs/based"), resultIn("runs/edited")];
    expect(based.cell.DD).toEqual(edited.cell.DD);
    expect(based.cell.model).toBe("model");
    expect(based.provenance.modelChecksum).toBe(edited.provenance.modelChecksum);
  });

  it("that do not fit the questions are refused, and nothing is written", async () => {
    await writeLines("answers.jsonl", predictions(true).slice(1));
    const { status, stderr } = await start([...args, "--out", "runs/refused", ...common]);
    expect(status).toBe(1);
    expect(stderr).toContain(`DATA_INVALID: answers.jsonl has 1 problem`);
    expect(stderr).toMatch(/questions\.jsonl:2: expected an answer to/);
    expect(existsSync(world.path("runs/refused"))).toBe(false);
  });
});

describe("the command line", () => {
  it("imports published data, which is then checked and used", async () => {
    await writeFile(
      world.path("published.json"),
      JSON.stringify(Array.from({ length: 20 }, (_, i) => mendRow(i))),
    );
    const said = await run(["data", "import", "published.json", "--out", "mine/own.jsonl"]);
    expect(said).toContain("20 of 20 rows written to mine/own.jsonl");
    expect(said).toContain("20 locality question about something else");
    expect(await run(["data", "mine/own.jsonl"])).toMatch(/^own: \d+ train, \d+ validation, \d+ test/);
    const counts = JSON.parse(
      await run([
        "data",
        "import",
        "published.json",
        "--format",
        "easyedit",
        "--out",
        "mine/own.jsonl",
        "--json",
      ]),
    );
    expect(counts).toMatchObject({ rows: 20, records: 20, leftOut: {} });
    const wrong = await start([
      "data",
      "import",
      "published.json",
      "--format",
      "slag",
      "--out",
      "mine/x.jsonl",
    ]);
    expect(wrong.status).toBe(1);
    expect(existsSync(world.path("mine/x.jsonl"))).toBe(false);
  });
});
