import { EventEmitter } from "node:events";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { defineCommand, defineGroup } from "../../src/cli/command.js";
import { bench } from "../../src/cli/commands/bench.js";
import { data } from "../../src/cli/commands/data.js";
import { report } from "../../src/cli/commands/report.js";
import { parseInlineEdit, readEditRequests } from "../../src/cli/edit_requests.js";
import { interruptible } from "../../src/cli/interrupt.js";
import { runProgram } from "../../src/cli/program.js";
import { createProgress } from "../../src/cli/progress.js";
import { suiteFromArgs } from "../../src/cli/suite_args.js";
import { SeprogError } from "../../src/errors.js";

let output = "";
let errors = "";
beforeEach(() => {
  output = "";
  errors = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    output += String(text);
    return true;
  });
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    errors += String(text);
    return true;
  });
  vi.spyOn(console, "log").mockImplementation((text) => {
    output += `${String(text)}\n`;
  });
});
afterEach(() => vi.restoreAllMocks());

function throwing(error: unknown) {
  return defineCommand({
    command: "fail",
    describe: "fails",
    examples: [],
    run: () => Promise.reject(error),
  });
}

describe("program", () => {
  it("ends with the status of the command", async () => {
    const three = defineCommand({ command: "three", describe: "", examples: [], run: async () => 3 });
    expect(await runProgram(["three"], [three])).toBe(3);
    expect(await runProgram(["data"], [data])).toBe(0);
    expect(output).toContain("counterfact");
  });

  it("prints one coded line and ends with 1 when a command fails", async () => {
    expect(
      await runProgram(["fail"], [throwing(new SeprogError("DATA_INVALID", "expected a but received b"))]),
    ).toBe(1);
    expect(errors).toBe("seprog-native: DATA_INVALID: expected a but received b\n");
  });

  it("calls everything else INTERNAL and shows the stack only when asked", async () => {
    expect(await runProgram(["fail"], [throwing(new TypeError("oh"))])).toBe(1);
    expect(errors).toBe("seprog-native: INTERNAL: oh\n");
    await runProgram(["fail", "--verbose"], [throwing(new TypeError("oh"))]);
    expect(errors).toContain("at ");
  });

  it("ends with 130 when interrupted", async () => {
    expect(await runProgram(["fail"], [throwing(new SeprogError("ABORTED", "interrupted"))])).toBe(130);
  });

  it.each([
    [["bnech"], 'unknown command "bnech"; did you mean "bench"?'],
    [["bench", "--retrian"], 'unknown argument "retrian" for bench; did you mean "retrain"?'],
    [["report"], "an argument is missing: seprog-native report <run>"],
    [[], "Say what to do"],
    [["bench", "--jobs"], "jobs"],
    [["bench", "--jobs", "0"], "expected a whole number of at least 1 for `--jobs`"],
    [["bench", "--threads", "two"], "expected a whole number of at least 1 for `--threads`"],
  ])("ends with 2 for wrong usage: %j", async (argv, message) => {
    expect(await runProgram(argv, [bench, data, report])).toBe(2);
    expect(errors).toContain(message);
    expect(errors).toContain("--help");
  });

  it("shows help with examples", async () => {
    expect(await runProgram(["bench", "--help"], [bench])).toBe(0);
    expect(output).toContain("bench --retrain");
    expect(output).toContain("--suite");
  });

  it("runs commands of a group", async () => {
    const seen: string[] = [];
    const inner = defineCommand({
      command: "inner <word>",
      describe: "",
      examples: [],
      positionals: { word: { type: "string", demandOption: true } },
      run: async ({ word }) => {
        seen.push(word);
        return 0;
      },
    });
    expect(await runProgram(["outer", "inner", "x"], [defineGroup("outer", "", [inner])])).toBe(0);
    expect(await runProgram(["outer"], [defineGroup("outer", "", [inner])])).toBe(2);
    expect(seen).toEqual(["x"]);
  });

  it("lists every bad override at once", async () => {
    const argv = ["bench", "--set", "methods.seprog.editor.lamda=1", "--set", "evaluation.batchsize=2"];
    expect(await runProgram(argv, [bench])).toBe(1);
    expect(errors).toContain('did you mean "lambda"?');
    expect(errors).toContain('did you mean "batchSize"?');
  });
});

describe("interrupt", () => {
  it("aborts the work on SIGINT and leaves no handler behind", async () => {
    const before = process.listenerCount("SIGINT");
    const work = interruptible(
      (signal) =>
        new Promise((_, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason));
          process.emit("SIGINT");
        }),
    );
    await expect(work).rejects.toMatchObject({ code: "ABORTED" });
    expect(process.listenerCount("SIGINT")).toBe(before);
  });
});

describe("progress", () => {
  const event = (step: number) =>
    ({
      type: "progress",
      phase: "train",
      step,
      total: 100,
      figures: { loss: 0.5 },
      elapsedMs: 1,
      etaMs: 61_000,
    }) as const;

  function stream(isTTY: boolean): { readonly stream: NodeJS.WriteStream; text(): string } {
    let text = "";
    const fake = Object.assign(new EventEmitter(), {
      isTTY,
      columns: 120,
      write: (part: string) => {
        text += part;
        return true;
      },
      cursorTo: () => true,
      clearLine: () => true,
      moveCursor: () => true,
      clearScreenDown: () => true,
      getWindowSize: () => [120, 40],
    });
    // The bar only writes, moves the cursor and asks for the width.
    return { stream: fake as unknown as NodeJS.WriteStream, text: () => text };
  }

  it("is a plain line now and then where nobody watches", () => {
    const { stream: sink, text } = stream(false);
    const progress = createProgress({ stream: sink });
    for (let step = 1; step <= 100; step++) progress.onEvent(event(step), "seprog");
    progress.close();
    expect(text().split("\n")).toEqual([
      "seprog: train: 1/100, 1 min 01 s left (loss 0.500)",
      "seprog: train: 100/100 (loss 0.500)",
      "",
    ]);
  });

  it("is a bar with the time left on a terminal", () => {
    const { stream: sink, text } = stream(true);
    const progress = createProgress({ stream: sink });
    progress.onEvent(event(50));
    progress.close();
    expect(text()).toContain("50%");
    expect(text()).toContain("1 min 01 s left");
  });

  it("tells validations", () => {
    const { stream: sink, text } = stream(false);
    const progress = createProgress({ stream: sink });
    progress.onEvent({
      type: "validation",
      step: 500,
      figures: { loss: 0.25 },
      best: true,
      patienceLeftEpochs: 200,
    });
    expect(text()).toBe("  validation at step 500: loss 0.250 (best so far)\n");
  });
});

describe("arguments", () => {
  it("lay flags over --set over the suite", () => {
    const suite = suiteFromArgs({ suite: "mini", set: ["seeds=[5]", "k=[2]"], data: "mine.jsonl", seed: 7 });
    expect(suite.datasets).toEqual([
      expect.objectContaining({ name: expect.stringMatching(/^\/.*mine\.jsonl$/), seeds: [7], k: [2] }),
    ]);
  });

  it("take --data for the folder of a suite's official files, or for a data set in their place", () => {
    const of = (data: string, models?: string) =>
      suiteFromArgs({ suite: "paper", set: ["model=t5-mini"], data, models }).datasets.map(
        ({ name }) => name,
      );
    expect(of("/full", "/checkpoints")).toContain("zsre:/full/zsre");
    expect(of("zsre:/mine")).toEqual(["zsre:/mine"]);
    expect(suiteFromArgs({ suite: "mini", set: [], data: "zsre" }).datasets.map(({ name }) => name)).toEqual([
      "zsre",
    ]);
    expect(() => suiteFromArgs({ suite: "mini", set: [], models: "/checkpoints" })).toThrow(/<models>/);
  });

  it("take one edit or a file, not both and not neither", async () => {
    expect(await readEditRequests({ question: "q", answer: "a" })).toEqual([{ question: "q", answer: "a" }]);
    for (const args of [
      {},
      { question: "q" },
      { question: "q", answer: "a", from: "x" },
      { question: " ", answer: "a" },
    ])
      await expect(readEditRequests(args)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });

  it("split an inline edit at the last equals sign", () => {
    expect(parseInlineEdit("1 + 1 = is=3")).toEqual({ question: "1 + 1 = is", answer: "3" });
    expect(() => parseInlineEdit("nothing")).toThrow("expected question=answer");
  });
});
