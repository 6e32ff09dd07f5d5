import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { allGoldenCases, GOLDEN_ROOT, HANDLED_KINDS } from "../support/golden.js";

const cases = allGoldenCases();

test(`${GOLDEN_ROOT} holds fixtures`, () => {
  expect(cases.length).toBeGreaterThan(0);
});

test("every fixture is of a kind that a test runs", () => {
  const strangers = cases.filter(({ kind }) => !Object.hasOwn(HANDLED_KINDS, kind));
  expect(strangers.map(({ name, kind }) => `${name}: ${kind}`)).toEqual([]);
});

test.each(Object.entries(HANDLED_KINDS))("the test of kind %s exists", (_, file) => {
  expect(existsSync(fileURLToPath(new URL(file, import.meta.url)))).toBe(true);
});
