import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export function readJson(path) {
  return JSON.parse(readFileSync(path, "utf8"));
}

export function readJsonLines(path) {
  return readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => JSON.parse(line));
}

/** All `<relation>.jsonl` files of a folder, as a map from relation id to its parsed lines. */
export function readRelationFolder(folder) {
  const files = readdirSync(folder)
    .filter((name) => name.endsWith(".jsonl"))
    .sort();
  return new Map(files.map((name) => [name.slice(0, -".jsonl".length), readJsonLines(join(folder, name))]));
}
