import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadJsonl } from "../../src/data/datasets/jsonl.js";
import { loadDataset } from "../../src/data/registry.js";
import { SPLITS } from "../../src/data/types.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "seprog-jsonl-"));
});
afterAll(() => rm(folder, { recursive: true }));

let files = 0;
async function fileOf(content: string | Buffer): Promise<string> {
  const path = join(folder, `edits-${files++}.jsonl`);
  await writeFile(path, content);
  return path;
}
const lines = (...rows: unknown[]) => rows.map((row) => JSON.stringify(row)).join("\n");
const good = { x_e: "Who wrote it?", y_e_options: ["Ada"] };

describe("good files", () => {
  test("only the input and its label are needed", async () => {
    const path = await fileOf(lines(good));
    const { splits } = await loadDataset(path);
    const [record] = SPLITS.flatMap((split) => splits[split]);
    expect(record).toMatchObject({
      ...good,
      id: "line-1",
      group: "whowroteit",
      in_scope: [],
      hard_out: [],
      x_loc: good.x_e,
      y_loc: [],
    });
  });

  test("blank lines, CRLF and a missing last newline are fine; ids count lines of the file", async () => {
    const path = await fileOf(`\r\n${JSON.stringify(good)}\r\n\n${JSON.stringify({ ...good, x_e: "b" })}`);
    const { splits } = await loadJsonl(path, { split: "test" });
    expect(splits.test.map(({ id }) => id)).toEqual(["line-2", "line-4"]);
  });

  test("one gold answer may stand without a list", async () => {
    const path = await fileOf(lines({ ...good, hard_out: [{ x: "n", y_gold: "g" }], split: "train" }));
    const { splits } = await loadJsonl(path);
    expect(splits.train[0]?.hard_out).toEqual([{ x: "n", y_gold: ["g"] }]);
  });

  test("the same input, and the same group, make one group", async () => {
    const path = await fileOf(
      lines({ ...good, group: "b" }, { ...good, group: "a" }, { ...good, x_e: "another", group: "a" }),
    );
    const { splits } = await loadJsonl(path, { split: "test" });
    expect(new Set(splits.test.map(({ group }) => group)).size).toBe(1);
  });

  test("a line longer than the read buffer", async () => {
    const path = await fileOf(lines({ ...good, x_e: "é".repeat(200_000) }, good));
    const { splits } = await loadJsonl(path, { split: "test" });
    expect(splits.test[0]?.x_e).toHaveLength(200_000);
    expect(splits.test).toHaveLength(2);
  });
});

describe("malformed lines", () => {
  test.each<[string, string | Buffer, RegExp]>([
    ["no JSON", `${JSON.stringify(good)}\n{"x_e": `, /:2: expected one JSON object but received: /],
    ["a number", "7", /:1: expected object but received number/],
    ["an array", "[]", /:1: expected object but received array/],
    ["a missing input", lines({ y_e_options: ["a"] }), /:1: `x_e`: expected string but received undefined/],
    ["a blank input", lines({ ...good, x_e: " " }), /:1: `x_e`: expected a text but received only blanks/],
    ["a missing label", lines({ x_e: "a" }), /:1: `y_e_options`: expected array but received undefined/],
    ["no labels", lines({ ...good, y_e_options: [] }), /:1: `y_e_options`: .*>=1/],
    [
      "a label that is no text",
      lines({ ...good, y_e_options: [1] }),
      /:1: `y_e_options\.0`: expected string/,
    ],
    ["an unknown key", lines({ ...good, rephrases: [] }), /:1: .*"rephrases"/],
    ["an unknown split", lines({ ...good, split: "dev" }), /:1: `split`: /],
    ["a broken pair", lines({ ...good, in_scope: [{ x: "a" }] }), /:1: `in_scope\.0\.y`: expected string/],
    [
      "a label the base model gives already",
      lines({ ...good, base_pred: "Ada" }),
      /:1: `y_e_options`: every label is what the base model says already/,
    ],
    ["a repeated id", lines({ ...good, id: "a" }, { ...good, id: "a" }), /:2: `id`: .*"a" is also at line 1/],
    ["bytes that are no UTF-8", Buffer.from([0x22, 0xff, 0xfe, 0x0a]), /:1: expected UTF-8 text/],
    ["an empty file", "", /expected at least one record in /],
    ["only blank lines", "\n \n", /expected at least one record in /],
  ])("%s", async (_, content, message) => {
    const path = await fileOf(content);
    const loading = loadJsonl(path);
    await expect(loading).rejects.toMatchObject({ name: "SeprogError", code: "DATA_INVALID" });
    await expect(loading).rejects.toThrow(message);
    await expect(loading).rejects.toThrow(path);
  });

  test("all bad lines are listed at once, the rest counted", async () => {
    const path = await fileOf(Array.from({ length: 30 }, () => "{}").join("\n"));
    const error = await loadJsonl(path).catch((reason: unknown) => reason);
    const message = error instanceof Error ? error.message : "";
    expect(message).toContain("has 60 problems");
    expect(message).toContain(`${path}:1: \`x_e\``);
    expect(message).toContain(`${path}:10: \`y_e_options\``);
    expect(message).toContain("… and 40 more");
  });

  test.each(["missing.jsonl", "."])("a file that cannot be read: %s", async (name) => {
    await expect(loadJsonl(join(folder, name))).rejects.toMatchObject({ code: "DATA_INVALID" });
  });

  test("one endless line is refused, not read", async () => {
    const path = await fileOf(Buffer.alloc(17 * 2 ** 20, "a"));
    await expect(loadJsonl(path)).rejects.toThrow(/lines of at most 16777216 bytes/);
  });

  test("groups named in two splits", async () => {
    const path = await fileOf(
      lines({ ...good, group: "g", split: "train" }, { ...good, x_e: "b", group: "g", split: "test" }),
    );
    await expect(loadJsonl(path)).rejects.toMatchObject({ code: "DATA_INVALID" });
  });
});
