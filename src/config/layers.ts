import type { ConfigSource, Path } from "./source.js";

/** A piece of a config file that is laid over others. */
export interface Layer {
  /** Where it stands in the file. */
  readonly from: Path;
  /** Where it goes in what the layers make together. */
  readonly at: Path;
  readonly value: unknown;
}

/**
 * What layers make together, later ones over earlier ones: mappings are merged, everything else is replaced. It still
 * knows where each value stands in the file.
 * @param home what messages call a place that no layer holds
 */
export function layered(source: ConfigSource, layers: readonly Layer[], home: Path): ConfigSource {
  const value = layers.reduce<unknown>(
    (merged, layer) => merge(merged, nested(layer.at, layer.value)),
    undefined,
  );
  const written = (path: Path): Path => {
    for (const { from, at, value: own } of layers.toReversed()) {
      const below = path.slice(at.length);
      const isUnder = at.every((step, index) => step === path[index]);
      if (path.length >= at.length && isUnder && holds(own, below)) return [...from, ...below];
    }
    return [...home, ...path];
  };
  return {
    file: source.file,
    value,
    written: (path) => source.written(written(path)),
    locate: (path) => source.locate(written(path)),
    locateKey: (path, key) => {
      const place = written([...path, key]);
      return source.locateKey(place.slice(0, -1), String(place.at(-1)));
    },
  };
}

export function isMapping(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function merge(below: unknown, above: unknown): unknown {
  if (above === undefined) return below;
  if (!isMapping(below) || !isMapping(above)) return above;
  const merged: { [key: string]: unknown } = { ...below };
  for (const [key, value] of Object.entries(above)) merged[key] = merge(below[key], value);
  return merged;
}

function nested(path: Path, value: unknown): unknown {
  return path.reduceRight<unknown>((inner, step) => ({ [step]: inner }), value);
}

function holds(value: unknown, path: Path): boolean {
  let current = value;
  for (const step of path) {
    if (typeof current !== "object" || current === null || !Object.hasOwn(current, step)) return false;
    current = Reflect.get(current, step);
  }
  return current !== undefined;
}
