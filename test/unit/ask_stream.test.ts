// Streams of questions: order, what is in hand, lines that are no questions. The program itself: test/e2e/ask_stream.test.ts.
import { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { answerStream, type Reply } from "../../src/bench/ask_stream.js";
import type { ReadQuestion } from "../../src/bench/edit_session.js";
import { gathered } from "../../src/bench/gathered.js";
import { overlapped } from "../../src/bench/overlapped.js";
import { askedLines } from "../../src/cli/ask_input.js";
import { SeprogError } from "../../src/errors.js";

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const list: Item[] = [];
  for await (const item of items) list.push(item);
  return list;
}

async function* counted(
  count: number,
  onTake: (i: number) => void = () => undefined,
): AsyncGenerator<number> {
  for (let i = 0; i < count; i += 1) {
    onTake(i);
    yield i;
  }
}

const later = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe("overlapped work", () => {
  it("keeps the order, whatever takes how long, and works on so many at once", async () => {
    let running = 0;
    let most = 0;
    const results = overlapped(
      counted(20),
      async (i) => {
        running += 1;
        most = Math.max(most, running);
        await later((i * 7) % 5);
        running -= 1;
        return i * i;
      },
      3,
    );
    expect(await all(results)).toEqual(Array.from({ length: 20 }, (_, i) => i * i));
    expect(most).toBe(3);
  });

  it("gives a result before the next item comes", async () => {
    async function* slow(): AsyncGenerator<number> {
      yield 1;
      await new Promise(() => undefined);
    }
    const results = overlapped(slow(), async (i) => i, 2);
    expect(await results.next()).toEqual({ done: false, value: 1 });
    await results.return(undefined);
  });

  it("takes no item that nobody waits for", async () => {
    const taken: number[] = [];
    const results = overlapped(
      counted(50, (i) => taken.push(i)),
      async (i) => i,
      2,
    );
    await results.next();
    await later(20);
    expect(taken.length).toBeLessThanOrEqual(4);
    await results.return(undefined);
  });

  it("throws what the work and the source throw", async () => {
    const broken = new Error("broken");
    const failing = overlapped(counted(5), async (i) => (i === 2 ? Promise.reject(broken) : i), 2);
    await expect(all(failing)).rejects.toBe(broken);
    async function* ends(): AsyncGenerator<number> {
      yield 1;
      throw broken;
    }
    await expect(all(overlapped(ends(), async (i) => i, 2))).rejects.toBe(broken);
  });
});

describe("parts that are gathered", () => {
  async function* parts(count: number, onTake: (i: number) => void): AsyncGenerator<readonly number[]> {
    for await (const i of counted(count, onTake)) yield [2 * i, 2 * i + 1];
  }

  it("come together, in their order, and are held up to so many", async () => {
    const taken: number[] = [];
    const windows = gathered(
      parts(20, (i) => taken.push(i)),
      { size: 8, sizeOf: () => 1 },
    );
    const first = await windows.next();
    expect(first.value?.slice(0, 2)).toEqual([0, 1]);
    await later(20);
    expect(taken.length).toBeLessThanOrEqual(6);
    const second = await windows.next();
    expect(second.value?.length).toBeGreaterThan(2);
    const rest = await all(windows);
    expect([first.value, second.value, ...rest].flat()).toEqual(Array.from({ length: 40 }, (_, i) => i));
  });

  it("are held by their size, however many parts bring them", async () => {
    const taken: number[] = [];
    const windows = gathered(
      parts(40, (i) => taken.push(i)),
      { size: 40, sizeOf: (item) => (item < 2 ? 40 : 1) },
    );
    const first = await windows.next();
    expect(first.value).toEqual([0, 1]);
    await later(20);
    expect(taken.length).toBe(21);
    expect((await windows.next()).value).toEqual(Array.from({ length: 40 }, (_, i) => 2 + i));
    await windows.return(undefined);
  });

  it("come before what the source throws behind them", async () => {
    const broken = new Error("broken");
    async function* ends(): AsyncGenerator<readonly number[]> {
      yield [1];
      yield [2];
      throw broken;
    }
    const seen: (readonly number[])[] = [];
    const reading = (async () => {
      for await (const window of gathered(ends(), { size: 4, sizeOf: () => 1 })) seen.push(window);
    })();
    await expect(reading).rejects.toBe(broken);
    expect(seen.flat()).toEqual([1, 2]);
  });
});

const lines = async (...chunks: (string | Buffer)[]) =>
  all(askedLines(Readable.from(chunks.map((chunk) => Buffer.from(chunk))), new AbortController().signal));

describe("lines of a stream", () => {
  it("are questions, and come as they are sent", async () => {
    expect(await lines("one\n two \r\n\nthr", "ee\nfour")).toEqual([
      [
        { line: 1, question: "one" },
        { line: 2, question: "two" },
      ],
      [{ line: 4, question: "three" }],
      [{ line: 5, question: "four" }],
    ]);
  });

  it("are JSON where the first begins with a brace; every bad one is named by its number", async () => {
    const text = [
      "",
      '{"question": "one", "id": 7, "other": true}',
      '{"question": "two"}',
      '{"question": "thr',
      "four",
      "[5]",
      '{"id": "x"}',
      '{"id": null, "question": " "}',
      '{"question": "nine", "id": {"a": [1]}}',
    ].join("\n");
    const [window = []] = await lines(`${text}\n`);
    expect(
      window.map((line) => ("problem" in line ? [line.line, line.id, line.problem.message] : line)),
    ).toEqual([
      { line: 2, id: 7, question: "one" },
      { line: 3, question: "two" },
      [4, undefined, expect.stringContaining("expected one JSON object")],
      [5, undefined, expect.stringContaining("expected one JSON object")],
      [6, undefined, expect.stringContaining("another value")],
      [7, "x", expect.stringContaining("for `question` but received none")],
      [8, null, expect.stringContaining('but received " "')],
      { line: 9, id: { a: [1] }, question: "nine" },
    ]);
  });

  it("that are no text are refused alone", async () => {
    const [window = []] = await lines(
      Buffer.concat([Buffer.from("a\n"), Buffer.from([0xff, 0x0a]), Buffer.from("b\n")]),
    );
    expect(window.map((line) => ("problem" in line ? line.problem.code : line.question))).toEqual([
      "a",
      "DATA_INVALID",
      "b",
    ]);
  });

  it("end with the signal's reason, also while nothing comes", async () => {
    const stopping = new AbortController();
    const reason = new SeprogError("ABORTED", "interrupted");
    const waiting = all(askedLines(new Readable({ read: () => undefined }), stopping.signal));
    stopping.abort(reason);
    await expect(waiting).rejects.toBe(reason);
  });
});

/** Answers a question by itself in capitals, and cannot read "bad". */
const session = {
  asked: [] as number[],
  read(question: string): ReadQuestion {
    if (question === "bad") throw new SeprogError("DATA_INVALID", "expected words");
    return { question, source: new Int32Array() };
  },
  async answer(questions: readonly ReadQuestion[]) {
    this.asked.push(questions.length);
    return questions.map(({ question }) => ({
      question,
      base: question,
      edited: question.toUpperCase(),
      edits: 0,
      gate: null,
      edit: null,
    }));
  },
};

describe("answers to a stream", () => {
  it("stand in its order, with a problem in the place of what cannot be answered", async () => {
    const text = ["a", "b", "bad", "c"].map((question, id) => JSON.stringify({ question, id })).join("\n");
    const source = Readable.from([Buffer.from(`${text}\n{\n`), Buffer.from('{"question": "d"}\n{\n')]);
    const windows = await all(answerStream(session, askedLines(source, new AbortController().signal)));
    const said = ({ line, id, ...reply }: Reply) =>
      "problem" in reply ? [line, id, reply.problem.code] : [line, id, reply.answer.edited];
    expect(windows.flat().map(said)).toEqual([
      [1, 0, "A"],
      [2, 1, "B"],
      [3, 2, "DATA_INVALID"],
      [4, 3, "C"],
      [5, undefined, "DATA_INVALID"],
      [6, undefined, "D"],
      [7, undefined, "DATA_INVALID"],
    ]);
    expect(session.asked.reduce((sum, count) => sum + count)).toBe(4);
  });
});
