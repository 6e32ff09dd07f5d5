// Walks every import of src/ and every include of native/ against the tables of docs/architecture.md.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const repository = fileURLToPath(new URL("../..", import.meta.url));

interface Edge {
  /** Paths relative to the tree that is walked. */
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}

type Table = { readonly [layer: string]: readonly string[] };

function filesUnder(directory: string, ends: RegExp): string[] {
  return readdirSync(join(repository, directory), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && ends.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
}

function edgesOf(
  tree: string,
  ends: RegExp,
  pattern: RegExp,
  target: (from: string, spec: string) => string,
): Edge[] {
  return filesUnder(tree, ends).flatMap((file) =>
    [...readFileSync(file, "utf8").matchAll(pattern)].map((match) => ({
      from: relative(join(repository, tree), file),
      to: relative(join(repository, tree), target(file, match.groups?.spec ?? "")),
      typeOnly: match.groups?.type !== undefined,
    })),
  );
}

/** Edges that leave their layer for one the table does not name, as "from → to (a may not use b)". */
function violations(edges: readonly Edge[], table: Table, layerOf: (file: string) => string): string[] {
  return edges.flatMap(({ from, to }) => {
    const [user, used] = [layerOf(from), layerOf(to)];
    const allowed = table[user];
    if (allowed === undefined) return [`${from}: layer ${user} is not in the table`];
    return user === used || allowed.includes(used) ? [] : [`${from} → ${to} (${user} may not use ${used})`];
  });
}

/** The files of one cycle, or null. */
function findCycle(edges: readonly Edge[]): string[] | null {
  const next = new Map<string, Edge[]>();
  for (const edge of edges) next.set(edge.from, [...(next.get(edge.from) ?? []), edge]);
  const done = new Set<string>();
  const visit = (file: string, trail: readonly string[]): string[] | null => {
    if (trail.includes(file)) return [...trail.slice(trail.indexOf(file)), file];
    if (done.has(file)) return null;
    for (const { to } of next.get(file) ?? []) {
      const cycle = visit(to, [...trail, file]);
      if (cycle !== null) return cycle;
    }
    done.add(file);
    return null;
  };
  for (const file of next.keys()) {
    const cycle = visit(file, []);
    if (cycle !== null) return cycle;
  }
  return null;
}

describe("TypeScript", () => {
  const knowledge = ["data", "tokenizers", "models", "editors", "metrics"];
  const base = ["errors", "files"];
  const table: Table = {
    errors: [],
    files: ["errors"],
    data: base,
    tokenizers: [...base, "data"],
    models: base,
    editors: [...base, "tokenizers"],
    metrics: [...base, "data"],
    config: [...base, ...knowledge],
    native: base,
    training: [...base, ...knowledge, "config", "native"],
    evaluation: [...base, ...knowledge, "config", "native", "training"],
    // What index.ts shows of the engine: handles with text in and text out.
    library: [...base, ...knowledge, "config", "native", "training", "evaluation"],
    // What a profiled cell's file holds: all that a report needs to know of profiling.
    "profile/record": ["errors", "evaluation", "native", "profile/row_lengths"],
    "profile/row_lengths": ["native"],
    report: [...base, ...knowledge, "config", "training", "evaluation", "profile/record"],
    bench: [...base, ...knowledge, "config", "native", "training", "evaluation", "report"],
    profile: [
      ...base,
      ...knowledge,
      "config",
      "native",
      "training",
      "evaluation",
      "report",
      "bench",
      "profile/record",
      "profile/row_lengths",
    ],
    cli: [
      ...base,
      ...knowledge,
      "config",
      "training",
      "evaluation",
      "library",
      "report",
      "bench",
      "profile",
      "profile/record",
      "cli/commands/doctor",
    ],
    "cli/commands/doctor": [...base, "config", "cli", "native"],
    index: [
      ...base,
      ...knowledge,
      "config",
      "native",
      "training",
      "evaluation",
      "library",
      "report",
      "bench",
    ],
  };
  const edges = edgesOf(
    "src",
    /\.ts$/,
    /(?:^\s*(?:import|export)\s+(?<type>type\s)?(?:[^;"=]*?\sfrom\s+)?|\bimport\()"(?<spec>\.[^"]+)"/gm,
    (file, spec) => join(dirname(file), spec.replace(/\.js$/, ".ts")),
  );
  const layerOf = (file: string) => {
    const named = file.replace(/\.ts$/, "");
    return named in table ? named : (named.split("/")[0] ?? "");
  };
  const inside = edges.filter(({ to }) => !to.startsWith(".."));

  test("every import stays within the table", () => {
    expect(inside.length).toBeGreaterThan(50);
    expect(violations(inside, table, layerOf)).toEqual([]);
  });

  test("only src/native imports from outside src", () => {
    const outside = edges.filter(({ from, to }) => to.startsWith("..") && layerOf(from) !== "native");
    expect(outside).toEqual([]);
  });

  test("only src/native can load an addon", () => {
    const loaders = filesUnder("src", /\.ts$/)
      .filter((file) => /node-gyp-build|\.node"|process\.dlopen/.test(readFileSync(file, "utf8")))
      .map((file) => relative(join(repository, "src"), file));
    expect(loaders.filter((file) => layerOf(file) !== "native")).toEqual([]);
  });

  test("no file needs itself", () => {
    expect(findCycle(inside.filter(({ typeOnly }) => !typeOnly))).toBeNull();
  });
});

describe("C++", () => {
  // `basis` is what stands in native/core itself; `job` is the cancel flag and the phases, used everywhere.
  const low = ["basis", "job"];
  const layers = [...low, "tensor", "io", "ops", "instrument", "plan"];
  const models = [...layers, "layers"];
  const domain = [...models, "models", "decode", "train", "memory", "editors"];
  const table: Table = {
    basis: [],
    job: ["basis", "instrument"],
    instrument: [...low, "plan"],
    plan: [...low, "instrument"],
    tensor: [...low, "instrument", "plan"],
    io: [...low, "tensor"],
    cuda: [...low, "io"],
    ops: [...low, "cuda", "tensor", "instrument", "plan"],
    layers,
    models,
    decode: [...models, "models"],
    memory: [...models, "models"],
    train: domain,
    editors: domain,
    engine: domain,
    binding: [...domain, "engine"],
    bench: [...domain, "engine"],
    preload: [],
  };
  const edges = edgesOf("native", /\.(cpp|h)$/, /^#include "(?<spec>[^"]+)"/gm, (file, spec) => {
    const beside = join(dirname(file), spec);
    return existsSync(beside) ? beside : join(repository, "native", spec);
  });
  const layerOf = (file: string) => {
    const parts = file.split("/");
    if (parts[0] !== "core") return parts[0] ?? "";
    if (/^core\/engine\/job\./.test(file)) return "job";
    return parts.length > 2 ? (parts[1] ?? "") : "basis";
  };
  const product = edges.filter(({ from }) => !from.startsWith("core/tests/"));

  test("every include stays within the table", () => {
    expect(product.length).toBeGreaterThan(50);
    expect(violations(product, table, layerOf)).toEqual([]);
  });

  test("nothing in the core includes a Node header", () => {
    const users = filesUnder("native/core", /\.(cpp|h)$/).filter((file) =>
      /#include\s*[<"](napi|node|node_api|uv|v8)\b/.test(readFileSync(file, "utf8")),
    );
    expect(users).toEqual([]);
  });

  test("no header needs itself", () => {
    expect(findCycle(product)).toBeNull();
  });
});
