import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's own fixtures, or any folder of the same form. */
export const GOLDEN_ROOT =
  process.env.SEPROG_GOLDEN ?? fileURLToPath(new URL("../fixtures/golden", import.meta.url));

/** Every kind of fixture that some test runs, and the test file that runs it, seen from test/golden. */
export const HANDLED_KINDS: Readonly<Record<string, string>> = {
  family: "../../native/core/tests/golden_test.cpp",
  prefix: "../../native/core/tests/golden_test.cpp",
  seprog_step: "../../native/core/tests/golden_test.cpp",
  checkpoint: "../../native/core/tests/golden_test.cpp",
  enn: "../../native/core/tests/golden_test.cpp",
  ft: "../../native/core/tests/golden_test.cpp",
  inner_loop: "../../native/core/tests/golden_test.cpp",
  mend: "../../native/core/tests/golden_test.cpp",
  serac: "../../native/core/tests/golden_test.cpp",
  slag: "../../native/core/tests/golden_test.cpp",
  metrics: "metrics.test.ts",
  tokenizer: "tokenizer.test.ts",
};

export interface GoldenCase {
  /** Path below the root. */
  readonly name: string;
  readonly folder: string;
  readonly kind: string;
  readonly family: string | undefined;
  /** Parsed `case.json`. */
  readonly content: unknown;
}

function readCase(path: string): GoldenCase {
  const content = JSON.parse(readFileSync(path, "utf8")) as { kind?: unknown; family?: unknown };
  if (typeof content.kind !== "string") throw new Error(`expected a text for \`kind\` in ${path}`);
  const folder = dirname(path);
  const family = typeof content.family === "string" ? content.family : undefined;
  return { name: relative(GOLDEN_ROOT, folder) || ".", folder, kind: content.kind, family, content };
}

export function allGoldenCases(): GoldenCase[] {
  return readdirSync(GOLDEN_ROOT, { recursive: true, encoding: "utf8" })
    .filter((path) => path === "case.json" || path.endsWith("/case.json"))
    .sort()
    .map((path) => readCase(join(GOLDEN_ROOT, path)));
}

/** Kinds that no test runs: test/golden/kinds.test.ts fails on them, the one place that does. */
export const goldenCases = (kind: string): GoldenCase[] =>
  allGoldenCases().filter((goldenCase) => goldenCase.kind === kind);
