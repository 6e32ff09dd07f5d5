import { resolve } from "node:path";

/** How a suite, a recipe or the command line names a data set. */
export type DatasetSpec =
  /** An embedded one: `zsre`. */
  | { readonly kind: "embedded"; readonly name: string }
  /** Published files that the user has: `zsre:FOLDER`. */
  | { readonly kind: "official"; readonly name: string; readonly directory: string }
  /** The user's own records: `FILE.jsonl`. */
  | { readonly kind: "file"; readonly path: string };

/** Reads the form alone: whether there is such a data set is for the registry to say. */
export function parseDatasetSpec(text: string): DatasetSpec {
  if (text.endsWith(".jsonl")) return { kind: "file", path: text };
  const colon = text.indexOf(":");
  if (colon === -1) return { kind: "embedded", name: text };
  return { kind: "official", name: text.slice(0, colon), directory: text.slice(colon + 1) };
}

/** The same data set, named so that it is found from any working directory. */
export function absoluteDatasetSpec(text: string): string {
  const spec = parseDatasetSpec(text);
  if (spec.kind === "file") return resolve(spec.path);
  return spec.kind === "official" ? `${spec.name}:${resolve(spec.directory)}` : spec.name;
}
