// Thousands of questions through `ask`: standard input to standard output.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { packageRoot } from "../../src/config/paths.js";
import { requireBuiltPackage } from "../support/built_package.js";
import { startProgram } from "../support/program.js";
import { TinyWorld, tinyRecords } from "../support/tiny_world.js";

let world: TinyWorld;
let args: readonly string[];
beforeAll(async () => {
  requireBuiltPackage();
  world = await TinyWorld.create();
  await world.pretrain("model");
  args = ["ask", "--editor", "nearest", "--model", world.path("model"), "--threads", "1"];
  args = [...args, "--edit", "The capital of Arden is=Oslo", "--json"];
});
afterAll(() => world.dispose());

const questions = (count: number): string[] => {
  const known = tinyRecords().flatMap(({ x_e, in_scope }) => [x_e, ...in_scope.map(({ x }) => x)]);
  return Array.from({ length: count }, (_, i) => `${known[i % known.length]}${" still".repeat(i % 7)}`);
};
const ask = (input: string) => startProgram(args, { cwd: world.folder, input }).ended;
const jsonLines = (text: string): Record<string, unknown>[] =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

describe("a stream of questions", () => {
  it("is answered line by line in its order, as one question after the other is", async () => {
    const asked = questions(3000);
    const input = asked.map((question, id) => JSON.stringify({ question, id })).join("\n");
    const { status, stdout, stderr } = await ask(input);
    expect(status, stderr).toBe(0);
    const answers = jsonLines(stdout);
    expect(answers.map(({ id }) => id)).toEqual(asked.map((_, id) => id));
    expect(answers.map(({ question }) => question)).toEqual(asked);
    expect(new Set(answers.map(({ base }) => base)).size).toBeGreaterThan(3);
    const alone = await startProgram([...args, ...asked.slice(0, 12)], { cwd: world.folder }).ended;
    // The gate's last bits depend on how many rows are computed at once.
    const expected = jsonLines(alone.stdout).map((answer, id) => {
      return { ...answer, id, gate: expect.closeTo(Number(answer.gate), 5) };
    });
    expect(expected).toHaveLength(12);
    expect(answers.slice(0, 12)).toEqual(expected);
  });

  it("goes on behind lines that are none, names them, and ends with 1", async () => {
    const good = (id: number) => JSON.stringify({ question: "The capital of Arden is", id });
    const { status, stdout, stderr } = await ask(
      [good(1), "{", good(3), '{"id": 4}', good(5), ""].join("\n"),
    );
    expect(status).toBe(1);
    expect(stderr).toContain("2 of 5 lines could not be answered");
    expect(jsonLines(stdout)).toMatchObject([
      { id: 1, question: "The capital of Arden is" },
      { line: 2, error: { code: "DATA_INVALID" } },
      { id: 3 },
      { id: 4, line: 4, error: { code: "DATA_INVALID" } },
      { id: 5 },
    ]);
  });

  it("is answered as it comes, and a reader that goes away ends it", async () => {
    const child = spawn(process.execPath, [join(packageRoot, "bin", "seprog-native.mjs"), ...args], {
      stdio: ["pipe", "pipe", "pipe"],
    });
    child.stdin.on("error", () => undefined);
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    for (const question of questions(3)) {
      // The next is sent when the last was answered.
      child.stdin.write(`${question}\n`);
      expect(JSON.parse((await lines.next()).value ?? "null")).toMatchObject({ question });
    }
    const ended = once(child, "exit");
    child.stdout.destroy();
    const endless = setInterval(() => child.stdin.write(`${questions(50).join("\n")}\n`), 5);
    const [status] = await ended;
    clearInterval(endless);
    expect(status).toBe(0);
  });
});
