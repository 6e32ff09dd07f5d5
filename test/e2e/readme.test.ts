// The library example of README.md runs as it stands there, but for the import's name.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { packageRoot } from "../../src/config/paths.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(packageRoot, "test", "e2e", ".readme-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function libraryExample(): Promise<string> {
  const readme = await readFile(join(packageRoot, "README.md"), "utf8");
  const blocks = [...readme.matchAll(/```(?:ts|js)\n(.*?)```/gs)].map(([, code = ""]) => code);
  const example = blocks.find((code) => code.includes("openEngine"));
  if (example === undefined) throw new Error("expected a ts block with openEngine in README.md");
  return example;
}

it("loads a model and an editor, adds two edits, asks, removes one and asks again", async () => {
  const example = await libraryExample();
  expect(example.trim().split("\n").length).toBeLessThanOrEqual(14);
  const index = pathToFileURL(join(packageRoot, "src", "index.ts")).href;
  const file = join(folder, "example.ts");
  await writeFile(file, example.replace('"seprog-native"', JSON.stringify(index)));
  const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
  await import(file);
  const said = log.mock.calls.map(([text]) => String(text));
  log.mockRestore();
  expect(said.length).toBeGreaterThanOrEqual(2);
  expect(said).toEqual(expectedOutput(example));
}, 120_000);

/** What the example says it prints: the comment behind each console.log. */
function expectedOutput(example: string): string[] {
  return [...example.matchAll(/console\.log\(.*\);? *\/\/ (.*)$/gm)].map(([, text = ""]) => text.trim());
}
