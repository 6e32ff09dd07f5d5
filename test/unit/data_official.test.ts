import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { datasetLabel } from "../../src/bench/grid.js";
import { ContentHashes } from "../../src/bench/identity.js";
import { absoluteDatasetSpec, parseDatasetSpec } from "../../src/data/dataset_spec.js";
import { DATASETS, loadDataset } from "../../src/data/registry.js";
import { datasetIdentity } from "../../src/training/trained_editors.js";
import { kiltRow, mendRow } from "../support/zsre_rows.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "seprog-official-"));
});
afterAll(() => rm(folder, { recursive: true }));

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
const lines = (rows: readonly unknown[]) => rows.map((row) => JSON.stringify(row)).join("\n");

async function saveFolder(name: string, files: Readonly<Record<string, string>>): Promise<string> {
  const directory = join(folder, name);
  await mkdir(directory, { recursive: true });
  for (const [file, content] of Object.entries(files)) await writeFile(join(directory, file), content);
  return directory;
}

const KILT = {
  "structured_zeroshot-train-new_annotated_final.jsonl": lines(range(0, 200).map(kiltRow)),
  "structured_zeroshot-dev-new_annotated_final.jsonl": lines(range(300, 360).map(kiltRow)),
};

describe("NAME:FOLDER", () => {
  test("is told from a name and from a file", () => {
    expect(parseDatasetSpec("zsre")).toEqual({ kind: "embedded", name: "zsre" });
    expect(parseDatasetSpec("zsre:/a:b")).toEqual({ kind: "official", name: "zsre", directory: "/a:b" });
    expect(parseDatasetSpec("a:b.jsonl")).toEqual({ kind: "file", path: "a:b.jsonl" });
    expect(absoluteDatasetSpec("zsre:data")).toBe(`zsre:${join(process.cwd(), "data")}`);
    expect(absoluteDatasetSpec("mine.jsonl")).toBe(join(process.cwd(), "mine.jsonl"));
    expect(absoluteDatasetSpec("zsre")).toBe("zsre");
  });

  test("reads the official files of the folder, in the form they have", async () => {
    const kilt = await loadDataset(`zsre:${await saveFolder("kilt", KILT)}`);
    expect(kilt.splits.test).toHaveLength(60);
    const mend = await saveFolder("mend", {
      "zsre_mend_train_10000.json": JSON.stringify(range(0, 200).map(mendRow)),
      "zsre_mend_eval.json": JSON.stringify(range(300, 340).map(mendRow)),
    });
    expect((await loadDataset(`zsre:${mend}`)).splits.test).toHaveLength(40);
  });

  test("a folder without them is told what is looked for and what is there", async () => {
    const [train = ""] = Object.keys(KILT);
    const directory = await saveFolder("half", { [train]: "" });
    const loading = loadDataset(`zsre:${directory}`);
    await expect(loading).rejects.toMatchObject({ code: "DATA_INVALID" });
    for (const name of [...Object.keys(KILT), "zsre_mend_train_10000.json", "zsre_mend_eval.json"])
      await expect(loading).rejects.toThrow(name);
    await expect(loading).rejects.toThrow(`but received only ${train}`);
    await expect(loadDataset(`zsre:${folder}/missing`)).rejects.toThrow(
      /expected a folder with the files of zsre/,
    );
  });

  test.each(["counterfact:.", "zsre:", "zrse:.", "constructor:."])("%s is no data set", async (spec) => {
    await expect(loadDataset(spec)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });

  test("is what its files hold, wherever they stand", async () => {
    const a = `zsre:${await saveFolder("a", KILT)}`;
    const b = `zsre:${await saveFolder("b", KILT)}`;
    const hashes = new ContentHashes();
    expect(datasetIdentity(a)).toBe(datasetIdentity(b));
    expect(datasetIdentity(a)).not.toBe(datasetIdentity("zsre"));
    expect(await hashes.dataset(a)).toBe(await hashes.dataset(b));
    expect(await hashes.dataset(a)).not.toBe(await hashes.dataset("zsre"));
    const c = await saveFolder("c", KILT);
    await writeFile(join(c, "structured_zeroshot-dev-new_annotated_final.jsonl"), lines([kiltRow(7)]));
    expect(await hashes.dataset(`zsre:${c}`)).not.toBe(await hashes.dataset(a));
    expect([datasetLabel(a), datasetLabel(b)]).toEqual(["zsre-full", "zsre-full"]);
  });
});

test("no two forms of a data set ask for the same files", () => {
  for (const { official } of Object.values(DATASETS)) {
    const names = official.map(({ files }) => JSON.stringify(files));
    expect(new Set(names).size).toBe(names.length);
  }
});
