import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { models } from "../../src/cli/commands/models.js";
import { EXIT_USAGE, runProgram } from "../../src/cli/program.js";

let output: string;
let errors: string;

beforeEach(() => {
  output = "";
  errors = "";
  const into = (add: (text: string) => void) => (text: unknown) => {
    add(String(text));
    return true;
  };
  vi.spyOn(process.stdout, "write").mockImplementation(into((text) => (output += text)));
  vi.spyOn(process.stderr, "write").mockImplementation(into((text) => (errors += text)));
});
afterEach(() => vi.restoreAllMocks());

test("lists the bundled base models with what their records say", async () => {
  expect(await runProgram(["models"], [models])).toBe(0);
  expect(output).toMatch(/^t5-mini +t5, \d+\.\d MB\n/m);
  expect(output).toMatch(/^ {2}taught wordings +\d+\.\d %$/m);
  output = "";
  expect(await runProgram(["models", "--json"], [models])).toBe(0);
  expect(JSON.parse(output)).toContainEqual(
    expect.objectContaining({ name: "t5-mini", family: "t5", figures: expect.any(Object) }),
  );
});

test.each([
  [["models", "fetch"], /Say which model/],
  [["models", "list", "minilm"], /go with fetch/],
  [["models", "get", "minilm"], /action/],
])("%j is wrong usage", async (args, message) => {
  expect(await runProgram(args, [models])).toBe(EXIT_USAGE);
  expect(errors).toMatch(message);
});
