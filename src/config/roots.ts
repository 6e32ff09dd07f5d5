import { resolve } from "node:path";
import { SeprogError } from "../errors.js";
import type { ConfigSource } from "./source.js";

export const ROOTS = ["models", "data"] as const;
export type Root = (typeof ROOTS)[number];

/** Folders of the user that a suite names as `<models>` and `<data>`. */
export type Roots = { readonly [Name in Root]?: string | undefined };

const placeholder = (root: Root): string => `<${root}>`;

/** The root that the text still waits for, or undefined. */
export function missingRoot(text: string): Root | undefined {
  return ROOTS.find((root) => text.includes(placeholder(root)));
}

export function usesRoot(value: unknown, root: Root): boolean {
  return JSON.stringify(value)?.includes(placeholder(root)) ?? false;
}

/**
 * The source with the given folders in place of their placeholders; others stay as they are.
 * @throws SeprogError CONFIG_INVALID for a folder that the suite has no use for
 */
export function withRoots(source: ConfigSource, roots: Roots): ConfigSource {
  const given = ROOTS.flatMap((root) => {
    const folder = roots[root];
    return folder === undefined ? [] : [{ root, folder: resolve(folder) }];
  });
  const unused = given.find(({ root }) => !usesRoot(source.value, root));
  if (unused !== undefined)
    throw new SeprogError(
      "CONFIG_INVALID",
      `expected a suite that names ${placeholder(unused.root)} with \`--${unused.root} ${unused.folder}\` but received ${source.file}, which does not`,
    );
  const replaced = (value: unknown): unknown => {
    if (typeof value === "string")
      return given.reduce((text, { root, folder }) => text.replaceAll(placeholder(root), folder), value);
    if (Array.isArray(value)) return value.map(replaced);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [String(replaced(key)), replaced(item)]),
    );
  };
  return given.length === 0 ? source : { ...source, value: replaced(source.value) };
}
