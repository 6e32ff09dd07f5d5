import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";

export function sha256(content) {
  return createHash("sha256").update(content).digest("hex");
}

function writeWhole(path, bytes) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.part`, bytes);
  renameSync(`${path}.part`, path);
}

/** Writes one asset, gzipped if its name ends in `.gz`, and its checksum (of the content before compression). */
export function writeAsset(root, name, text) {
  const content = Buffer.from(text, "utf8");
  writeWhole(join(root, name), name.endsWith(".gz") ? gzipSync(content, { level: 9 }) : content);
  const path = join(root, "checksums.json");
  const checksums = existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : {};
  checksums[name] = { sha256: sha256(content), bytes: content.length };
  const sorted = Object.fromEntries(Object.entries(checksums).sort(([a], [b]) => (a < b ? -1 : 1)));
  writeWhole(path, `${JSON.stringify(sorted, null, 2)}\n`);
}

export const toJsonLines = (rows) => `${rows.map((row) => JSON.stringify(row)).join("\n")}\n`;

/** Names and digests of the raw files that an asset was made from. */
export function describeSources(root, names) {
  return names.map((name) => ({ file: name, sha256: sha256(readFileSync(join(root, name))) }));
}

/** `*` stands for anything but a slash. */
const matches = (pattern, name) =>
  new RegExp(`^${pattern.replaceAll(".", "\\.").replaceAll("*", "[^/]*")}$`).test(name);

/** Those of many raw files that a pattern names, as one digest. */
export function describeFiles(root, pattern, names) {
  const digests = describeSources(root, names.filter((name) => matches(pattern, name)).sort());
  return { file: pattern, files: digests.length, sha256: sha256(JSON.stringify(digests)) };
}
