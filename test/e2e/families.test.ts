// Every kind of base model beside T5, from its facts to a report and through the library: pretrained, edited, measured.
import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CellResult, EditRecordLine } from "../../src/evaluation/records.js";
import { type BaseModel, openEngine } from "../../src/index.js";
import { Tokenizer } from "../../src/tokenizers/tokenizer.js";
import type { ModelRecord } from "../../src/training/pretrain_model.js";
import { requireBuiltPackage } from "../support/built_package.js";
import { runTinySuite, type TinyRun } from "../support/tiny_bench.js";
import type { TinyFamilyName } from "../support/tiny_families.js";
import { TINY_ENGINE, TinyWorld } from "../support/tiny_world.js";

beforeAll(requireBuiltPackage);

interface Case {
  readonly family: TinyFamilyName;
  /** What a folder from the hub may have in place of tokenizer.json. */
  readonly vocabulary: readonly string[];
  /** Whose encoder reads the edits; null: the base model's own. */
  readonly editEncoder: TinyFamilyName | null;
  /** Until the editor knows its training edits by heart. */
  readonly steps: number;
}

const CASES: readonly Case[] = [
  { family: "bart", vocabulary: ["vocab.json", "merges.txt"], editEncoder: null, steps: 400 },
  { family: "bert", vocabulary: ["vocab.txt"], editEncoder: null, steps: 200 },
  { family: "gpt2", vocabulary: ["vocab.json", "merges.txt"], editEncoder: "t5", steps: 200 },
];

describe.each(CASES)("$family", ({ family, vocabulary, editEncoder, steps }) => {
  let world: TinyWorld;
  let record: ModelRecord;
  let first: TinyRun;

  function bench(): Promise<TinyRun> {
    const encoder =
      editEncoder === null ? {} : { editEncoder: { source: "directory", path: world.path("encoder") } };
    return runTinySuite(world.path("run"), {
      name: "tiny",
      model: world.path("model"),
      datasets: [{ name: world.dataFile }],
      k: [2],
      methods: { seprog: world.method({ steps, editor: encoder }) },
      text: world.family.text,
      evaluation: { maxEdits: 2, minEpisodes: 1, timing: { warmUps: 1, repetitions: 2 } },
    });
  }

  beforeAll(async () => {
    world = await TinyWorld.create(family);
    record = await world.pretrain("model");
    if (editEncoder !== null) {
      await using encoderWorld = await TinyWorld.create(editEncoder);
      await encoderWorld.pretrain(world.path("encoder"), { epochs: 10 });
    }
    first = await bench();
  });
  afterAll(() => world.dispose());

  const resultOf = ({ results }: TinyRun): CellResult => {
    const result = results.get("seprog");
    if (result === undefined) throw new Error("expected a cell of seprog");
    return result;
  };

  it("is pretrained until it knows its facts", () => {
    expect(record).toMatchObject({ facts: 16, wordings: 48 });
    expect(record.recall?.wordings).toBeGreaterThanOrEqual(0.9);
  });

  it("is measured into a result and a report that say what the base knows", async () => {
    expect(first.failures).toEqual([]);
    const { cell, provenance } = resultOf(first);
    expect(cell).toMatchObject({ method: "seprog", model: "model", K: 2, base: { ES: { value: 0 } } });
    expect(cell.base.accuracy?.value).toBeGreaterThanOrEqual(0.9);
    expect(cell.gate).not.toBeNull();
    expect(provenance.modelChecksum).toBe(record.modelChecksum);
    expect(await readFile(first.reports.markdown, "utf8")).toContain("## The unedited models");
  });

  it("answers in its own kind", async () => {
    const probes = first.lines.flatMap(probesOf);
    expect(probes.length).toBeGreaterThanOrEqual(6);
    if (family === "bert")
      for (const { base, edited } of probes)
        for (const answer of [base, edited]) expect(["False", "True"]).toContain(answer);
    if (family === "gpt2") {
      const tokenizer = await Tokenizer.load(world.path("model"));
      for (const { base, tokens } of probes) {
        expect(tokens).toBe(3);
        expect(tokenizer.encode(base ?? ""), `${base}`).toHaveLength(3);
      }
    }
  });

  it("is measured again with the same trained weights, to the same figures", async () => {
    const before = resultOf(first);
    await rm(world.path("run", "cells"), { recursive: true });
    const second = await bench();
    expect(second.events.flatMap((event) => (event.type === "editor" ? [event.reused] : []))).toEqual([true]);
    const after = resultOf(second);
    expect(after.cell.configHash).toBe(before.cell.configHash);
    expect(after.provenance.editorFingerprint).toBe(before.provenance.editorFingerprint);
    expect(after.perEpisode).toEqual(before.perEpisode);
  });

  describe("through the library", () => {
    const edited = (): { question: string; answer: string }[] =>
      world.family.records
        .slice(0, 2)
        .map(({ x_e, y_e_options: [answer = ""] }) => ({ question: x_e, answer }));
    const everything = (): string[] =>
      world.family.records.flatMap(({ x_e, in_scope }) => [x_e, ...in_scope.map(({ x }) => x)]);
    const text = (answers: readonly { readonly text: string }[]): string[] => answers.map((one) => one.text);
    // Outside a suite nothing says how long a continuation is.
    const length = () => ({ maxNewTokens: world.family.text.answerTokens ?? 8 });
    const askBase = async (model: BaseModel, questions = everything()) =>
      text(await model.askAll(questions, length()));

    it("answers an edit, from a saved memory too, and leaves the base as it was", async () => {
      await using opened = await openEngine(TINY_ENGINE);
      await using model = await opened.loadModel(world.path("model"));
      const before = await askBase(model);
      const [editorName = ""] = first.editors;
      await using editor = await model.loadEditor(world.path("run", "editors", editorName));
      await using memory = await editor.createMemory();
      await memory.add(edited());
      await using changed = await editor.withMemory(memory);

      const [{ question = "", answer = "" } = {}] = edited();
      expect(await changed.ask(question)).toBe(answer.trim());
      expect(await askBase(model, [question])).not.toEqual([answer.trim()]);
      expect(await askBase(model)).toEqual(before);

      await memory.save(world.path("edits.safetensors"));
      await using again = await editor.loadMemory(world.path("edits.safetensors"));
      expect(await again.size()).toBe(2);
      await using reloaded = await editor.withMemory(again);
      expect(await reloaded.askAll(everything())).toEqual(await changed.askAll(everything()));

      await memory.remove((await memory.list()).map(({ id }) => id));
      expect(text(await changed.askAll(everything(), length()))).toEqual(before);
    });

    it("reads a folder with the family's own vocabulary files to the same answers", async () => {
      await mkdir(world.path("hub"));
      for (const name of ["config.json", "model.safetensors"])
        await copyFile(world.path("model", name), world.path("hub", name));
      for (const name of vocabulary) await copyFile(world.path("vocabulary", name), world.path("hub", name));
      await using opened = await openEngine(TINY_ENGINE);
      await using model = await opened.loadModel(world.path("model"));
      await using fromHub = await opened.loadModel(world.path("hub"));
      expect(await askBase(fromHub)).toEqual(await askBase(model));
    });

    if (family === "gpt2")
      it("gives a checkpoint without a pad token one, as the hub's need it", async () => {
        await mkdir(world.path("padless"));
        for (const name of ["tokenizer.json", "model.safetensors"])
          await copyFile(world.path("model", name), world.path("padless", name));
        const { pad_token_id: _, ...config } = JSON.parse(
          await readFile(world.path("model", "config.json"), "utf8"),
        ) as Record<string, unknown>;
        await writeFile(world.path("padless", "config.json"), JSON.stringify(config));
        await using opened = await openEngine(TINY_ENGINE);
        await using model = await opened.loadModel(world.path("model"));
        await using padless = await opened.loadModel(world.path("padless"));
        expect(padless.info).toMatchObject({
          vocabulary: model.info.vocabulary + 1,
          padId: model.info.vocabulary,
        });
        expect(await askBase(padless)).toEqual(await askBase(model));
      });
  });
});

const probesOf = ({ self, inScope, outScope, hard }: EditRecordLine) => [
  self,
  ...inScope,
  ...outScope,
  ...hard,
];
