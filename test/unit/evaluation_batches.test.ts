// How questions are put together, and what is kept of a base model's answers.
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { answerCacheFolder } from "../../src/bench/answer_cache_folder.js";
import { memoryShares } from "../../src/bench/memory_budget.js";
import { byteCount } from "../../src/cli/usage_error.js";
import { workLines } from "../../src/cli/work_text.js";
import { SeprogError } from "../../src/errors.js";
import { AnswerStore, type StoredAnswer } from "../../src/evaluation/answer_store.js";
import { BatchBudget } from "../../src/evaluation/batch_budget.js";
import { askInBatches } from "../../src/evaluation/batches.js";
import { KnownAnswers } from "../../src/evaluation/known_answers.js";
import { packRows, unpackRows } from "../../src/tokenizers/token_rows.js";

const BYTES_PER_TOKEN = 1000;
const phase = (peakBytes: number) => ({
  name: "total",
  calls: 1,
  wallNs: 1,
  selfWallNs: 1,
  deviceNs: null,
  selfDeviceNs: null,
  flops: null,
  rolesAtPeak: null,
  baselineBytes: 500,
  peakBytes: 500 + peakBytes,
  peakReservedBytes: 0,
});

interface Call {
  readonly lengths: readonly number[];
  readonly measured: boolean;
  readonly bytes: number;
}

/** An engine that takes so many bytes a token of its padded batch, and at most `limit` in all. */
async function batchesOf(
  items: readonly number[],
  budget: BatchBudget,
  limit = Number.POSITIVE_INFINITY,
): Promise<{ readonly calls: Call[]; readonly taken: number[]; readonly mostWaiting: number }> {
  const calls: Call[] = [];
  const taken: number[] = [];
  let waiting = 0;
  let mostWaiting = 0;
  await askInBatches({
    items,
    tokensOf: (item) => item,
    sizes: budget.of("answer"),
    ask: async (batch, measured) => {
      mostWaiting = Math.max(mostWaiting, ++waiting);
      await new Promise((resolve) => setImmediate(resolve));
      waiting--;
      const bytes = batch.length * Math.max(...batch) * BYTES_PER_TOKEN;
      if (bytes > limit) throw new SeprogError("OUT_OF_MEMORY", "too much");
      calls.push({ lengths: batch, measured, bytes });
      return measured ? { measurement: { total: phase(bytes), queuedNs: 0, phases: [] } } : {};
    },
    take: (batch) => taken.push(...batch),
  });
  return { calls, taken, mostWaiting };
}

const lengths = Array.from({ length: 400 }, (_, i) => 1 + ((i * 37) % 60));
const sorted = (values: readonly number[]): number[] => [...values].sort((a, b) => b - a);

describe("batches", () => {
  it("ask everything once, the longest first, two calls on their way", async () => {
    const { calls, taken, mostWaiting } = await batchesOf(lengths, new BatchBudget({ mostRows: 32 }));
    expect(taken).toEqual(sorted(lengths));
    expect(calls.map((call) => call.lengths.length)).toEqual([...Array(12).fill(32), 16]);
    expect(calls.some(({ measured }) => measured)).toBe(false);
    expect(mostWaiting).toBe(2);
  });

  it("grow to what the budget holds and stay within it", async () => {
    const bytes = 40 * 60 * BYTES_PER_TOKEN;
    const { calls, taken } = await batchesOf(lengths, new BatchBudget({ bytes }));
    expect(sorted(taken)).toEqual(sorted(lengths));
    expect(calls[0]?.lengths).toHaveLength(16);
    expect(calls.every((call) => call.bytes <= bytes)).toBe(true);
    // Shorter rows are more to a batch.
    const sizes = calls.map((call) => call.lengths.length);
    expect(sizes[1]).toBeGreaterThanOrEqual(40);
    expect(Math.max(...sizes)).toBeGreaterThan(60);
  });

  it("go on row by row where the budget holds less than one", async () => {
    const { calls, taken } = await batchesOf(lengths, new BatchBudget({ bytes: 1 }));
    expect(sorted(taken)).toEqual(sorted(lengths));
    expect(new Set(calls.slice(1).map((call) => call.lengths.length))).toEqual(new Set([1]));
  });

  it("expect longer rows than were measured to cost more than in proportion", () => {
    const sizes = new BatchBudget({ bytes: 1_000_000 }).of("answer");
    sizes.took(16, 10, 16 * 10 * BYTES_PER_TOKEN);
    expect(sizes.rowsFor(10)).toBe(64);
    expect(sizes.rowsFor(20)).toBe(25);
    expect(sizes.rowsFor(5)).toBe(64);
    expect([sizes.asksFor(16, 10), sizes.asksFor(17, 10), sizes.asksFor(1, 11)]).toEqual([false, true, true]);
  });

  it("are halved where the device has no room", async () => {
    const limit = 10 * 60 * BYTES_PER_TOKEN;
    const { calls, taken } = await batchesOf(lengths, new BatchBudget({ mostRows: 64 }), limit);
    expect(sorted(taken)).toEqual(sorted(lengths));
    expect(calls.every((call) => call.bytes <= limit)).toBe(true);
    await expect(batchesOf([5], new BatchBudget(), 1)).rejects.toMatchObject({ code: "OUT_OF_MEMORY" });
  });

  it("let what is on its way end before they fail", async () => {
    let ended = 0;
    const failing = askInBatches({
      items: [3, 2, 1],
      tokensOf: (item) => item,
      sizes: new BatchBudget({ mostRows: 1 }).of("answer"),
      ask: async ([item]) => {
        await new Promise((resolve) => setTimeout(resolve, item === 3 ? 1 : 10));
        ended++;
        if (item === 3) throw new Error("engine lost");
        return {};
      },
      take: () => undefined,
    });
    await expect(failing).rejects.toThrow("engine lost");
    expect(ended).toBe(2);
  });
});

describe("a memory budget", () => {
  const engine = (deterministic: boolean) => ({
    device: "cpu",
    deterministic,
    memoryStats: () => Promise.reject(new Error("asked")),
  });
  const GiB = 2 ** 30;

  it("is what was asked for, a quarter of it for encoder outputs", async () => {
    const shares = await memoryShares(engine(false), { bytes: GiB });
    expect(shares).toEqual({ bytes: 0.75 * GiB, encodingBytes: 0.25 * GiB });
    const large = await memoryShares(engine(false), { bytes: 64 * GiB });
    expect(large).toEqual({ bytes: 63.5 * GiB, encodingBytes: 0.5 * GiB });
  });

  it("is found by what is free, shared by the processes", async () => {
    const sum = async (processes: number): Promise<number> => {
      const { bytes, encodingBytes } = await memoryShares(engine(false), { processes });
      return bytes + encodingBytes;
    };
    const [alone, four] = [await sum(1), await sum(4)];
    expect(alone).toBeGreaterThan(0);
    expect(alone).toBeLessThan(process.availableMemory());
    expect(four / alone).toBeGreaterThan(0.2);
    expect(four / alone).toBeLessThan(0.3);
  });

  it("does not rest on what is free, and keeps nothing, where the same bits are asked for", async () => {
    expect(await memoryShares(engine(true))).toEqual({ bytes: GiB, encodingBytes: 0 });
    expect(await memoryShares(engine(true), { bytes: 5 })).toEqual({ bytes: 5, encodingBytes: 0 });
  });
});

describe("kept answers", () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "seprog-answers-"));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  const answer = (key: string): StoredAnswer => ({ key, tokens: [1, 2, 3] });
  const scores: StoredAnswer = { key: "s", argmax: [7], negLogLik: 0.1 + 0.2 };
  const files = async (identity: string): Promise<string[]> => (await readdir(join(root, identity))).sort();

  it("come back as they were, from as many files as were written", async () => {
    await new AnswerStore(root, "one").add([answer("a"), scores]);
    await new AnswerStore(root, "one").add([answer("b")]);
    const read = await new AnswerStore(root, "one").read();
    expect(read.sort((a, b) => (a.key < b.key ? -1 : 1))).toEqual([answer("a"), answer("b"), scores]);
    expect(await new AnswerStore(root, "other").read()).toEqual([]);
  });

  it("lose a line that was changed, cut off or is no answer, and no other", async () => {
    await new AnswerStore(root, "one").add([answer("a"), answer("b"), answer("c"), scores]);
    const [name = ""] = await files("one");
    const path = join(root, "one", name);
    const [a = "", b = "", c = "", s = ""] = (await readFile(path, "utf8")).split("\n");
    await writeFile(path, `${a}\n${b.replace("2", "9")}\n${c}\nnonsense\n\u0000\n${s.slice(0, -3)}`);
    const keys = (await new AnswerStore(root, "one").read()).map(({ key }) => key);
    expect(keys).toEqual(["a", "c"]);
  });

  it("are joined when there are many files", async () => {
    for (let i = 0; i < 40; i++) await new AnswerStore(root, "one").add([answer(`k${i % 30}`)]);
    expect(await new AnswerStore(root, "one").read()).toHaveLength(40);
    expect(await files("one")).toHaveLength(1);
    expect(await new AnswerStore(root, "one").read()).toHaveLength(30);
  });

  it("make room: what was read the longest ago goes first", async () => {
    const mostBytes = 300;
    for (const [identity, ageMs] of [
      ["old", 3e6],
      ["older", 6e6],
    ] as const) {
      await new AnswerStore(root, identity, mostBytes).add([answer("a"), answer("b"), answer("c")]);
      const readAt = new Date(Date.now() - ageMs);
      await utimes(join(root, identity), readAt, readAt);
    }
    await new AnswerStore(root, "new", mostBytes).add([answer("a"), answer("b"), answer("c")]);
    const left = await Promise.all(["older", "old", "new"].map(async (name) => (await files(name)).length));
    expect(left).toEqual([0, 1, 1]);
  });

  it("are not kept where nothing can be written, and nothing fails by it", async () => {
    const file = join(root, "file");
    await writeFile(file, "");
    const store = new AnswerStore(join(file, "below"), "one");
    await store.add([answer("a")]);
    expect(await store.read()).toEqual([]);
  });

  it("spare the model what it was asked before, in this process and in others", async () => {
    const asked: number[][] = [];
    const model = {
      generate: async (source: ReturnType<typeof packRows>) => {
        const rows = unpackRows(source);
        asked.push(...rows.map((row) => [...row]));
        return { tokens: packRows(rows.map((row) => row.map((id) => id + 1))) };
      },
    };
    const decoding = { maxNewTokens: 4, stopAtEnd: true };
    const source = (...ids: number[][]) => packRows(ids.map((row) => Int32Array.from(row)));
    const said = async (known: KnownAnswers, ...ids: number[][]): Promise<number[][]> => {
      const { tokens } = await known.over(model).generate(source(...ids), decoding);
      return unpackRows(tokens).map((row) => [...row]);
    };
    const first = await KnownAnswers.open(new AnswerStore(root, "one"));
    expect(await said(first, [1, 2], [3], [1, 2])).toEqual([[2, 3], [4], [2, 3]]);
    expect(asked).toEqual([[1, 2], [3]]);
    expect([first.asked, first.reused]).toEqual([2, 0]);

    const second = await KnownAnswers.open(new AnswerStore(root, "one"));
    expect(await said(second, [3], [5])).toEqual([[4], [6]]);
    expect(asked).toEqual([[1, 2], [3], [5]]);
    expect([second.asked, second.reused]).toEqual([1, 1]);
    // Another number of tokens is another question.
    expect(second.generation(Int32Array.of(3), { ...decoding, maxNewTokens: 5 })).toBeUndefined();

    const alone = new KnownAnswers();
    await said(alone, [3]);
    expect(asked).toHaveLength(4);
  });

  it("hold scores of a target, and none that JSON has no word for", async () => {
    const [x, y, z] = [Int32Array.of(1), Int32Array.of(2), Int32Array.of(3)];
    const known = await KnownAnswers.open(new AnswerStore(root, "one"));
    known.learnScores(x, y, { argmax: y, negLogLik: 0.1 + 0.2 });
    known.learnScores(x, z, { argmax: z, negLogLik: Number.POSITIVE_INFINITY });
    await known.keep();
    expect(known.scores(x, z)?.negLogLik).toBe(Number.POSITIVE_INFINITY);
    const later = await KnownAnswers.open(new AnswerStore(root, "one"));
    expect(later.scores(x, y)).toEqual({ argmax: y, negLogLik: 0.1 + 0.2 });
    expect(later.scores(x, z)).toBeUndefined();
    expect(later.scores(y, x)).toBeUndefined();
  });

  it("stand in the user's cache, or where SEPROG_CACHE says", () => {
    expect(answerCacheFolder({ XDG_CACHE_HOME: "/c" })).toBe("/c/seprog-native/answers");
    expect(answerCacheFolder({ XDG_CACHE_HOME: "relative" })).toMatch(/\.cache\/seprog-native\/answers$/);
    expect(answerCacheFolder({ XDG_CACHE_HOME: "/c", SEPROG_CACHE: "/mine" })).toBe("/mine");
  });
});

describe("the command line", () => {
  it.each([
    ["512MiB", 512 * 2 ** 20],
    ["2g", 2 ** 31],
    ["1.5 GB", 1.5 * 2 ** 30],
    ["4096", 4096],
  ])("reads %s as bytes", (text, bytes) => {
    expect(byteCount("memory-budget")(text)).toBe(bytes);
  });

  it.each(["", "0", "-1G", "much", "2 apples"])("refuses %j bytes", (text) => {
    expect(() => byteCount("memory-budget")(text)).toThrow("--memory-budget");
  });

  it("says what was asked and what was not, and how much of the time the engine worked", () => {
    const work = {
      questions: 6000,
      questionsAsked: 5500,
      baseAsked: 10,
      baseReused: 2000,
      memoryBudgetBytes: null,
      mostRowsPerCall: 512,
      wallMs: null,
      engineMs: null,
    };
    const asked =
      "Asked: base model 20 of 4,020 questions, the others known from before; edited models 11,000 of 12,000, the others the same as one of them";
    expect(workLines([work, null, work])).toEqual([asked]);
    // A cell that was not timed counts for neither.
    expect(
      workLines([work, { ...work, wallMs: 8000, engineMs: 7900 }, { ...work, wallMs: 2000, engineMs: 1850 }]),
    ).toContain("Cells: 10.0 s, of which the engine worked 97.5 %");
    expect(workLines([null])).toEqual([]);
  });
});
