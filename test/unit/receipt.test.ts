import { createHash } from "node:crypto";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { tokenizerHash } from "../../src/bench/receipt.js";
import { assetPath } from "../../src/config/paths.js";
import { OutputHash } from "../../src/evaluation/receipt.js";
import { cellResultSchema } from "../../src/evaluation/records.js";
import { cellResult, summaryCell } from "../support/run_fixture.js";

function hashOf(...rows: number[][]): string {
  const hash = new OutputHash();
  hash.add(rows.map((row) => Int32Array.from(row)));
  return hash.digest();
}

it("hashes answers as lengths and ids, 32 bits each, low byte first", () => {
  const bytes = Buffer.from([2, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  expect(hashOf([1, 256], [])).toBe(createHash("sha256").update(bytes).digest("hex"));
});

it("tells answers apart that are the same ids in other rows or in another order", () => {
  const hashes = [hashOf([1, 2], [3]), hashOf([1], [2, 3]), hashOf([3], [1, 2]), hashOf([1, 2, 3])];
  expect(new Set(hashes).size).toBe(hashes.length);
});

it("does not depend on how many answers come at a time", () => {
  const parts = new OutputHash();
  parts.add([Int32Array.of(1, 2)]);
  parts.add([Int32Array.of(3)]);
  expect(parts.digest()).toBe(hashOf([1, 2], [3]));
});

it("names a tokenizer by what it is, not by where it stands", async () => {
  const folder = await mkdtemp(join(tmpdir(), "seprog-receipt-"));
  try {
    const model = assetPath("models", "t5-mini");
    for (const name of ["tokenizer.json", "config.json"]) await cp(join(model, name), join(folder, name));
    expect(await tokenizerHash(folder)).toBe(await tokenizerHash(model));
    expect(await tokenizerHash(assetPath("models", "gpt2-mini"))).not.toBe(await tokenizerHash(model));
  } finally {
    await rm(folder, { recursive: true });
  }
});

it("reads records from before there were receipts", () => {
  const { receipt: _, ...old } = cellResult(summaryCell("zsre", 4));
  expect(cellResultSchema.parse(old).receipt).toBeNull();
});
