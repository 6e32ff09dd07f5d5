import { parseDocument } from "yaml";
import { SeprogError } from "../errors.js";
import type { ConfigSource, Path } from "./source.js";

/** One `key=value` of the command line, or a flag that stands for one. */
export interface Override {
  /** What messages call it: `--set a.b=1` or `--seed`. */
  readonly origin: string;
  readonly path: Path;
  readonly value: unknown;
}

/** Values are YAML: `k=[1,4]`, `training.steps=100`, `model=./my-t5`. Throws CONFIG_INVALID listing every bad one. */
export function parseOverrides(settings: readonly string[]): Override[] {
  const problems: string[] = [];
  const overrides: Override[] = [];
  for (const setting of settings) {
    const equals = setting.indexOf("=");
    const key = equals < 0 ? setting : setting.slice(0, equals);
    if (equals <= 0 || key.split(".").some((step) => step === "")) {
      problems.push(`  --set ${setting}: expected key=value, as in training.steps=100`);
      continue;
    }
    const document = parseDocument(setting.slice(equals + 1), { prettyErrors: false });
    if (document.errors.length > 0) {
      problems.push(
        `  --set ${setting}: expected a YAML value but received: ${document.errors[0]?.message ?? ""}`,
      );
      continue;
    }
    overrides.push({ origin: `--set ${setting}`, path: key.split("."), value: document.toJS() });
  }
  if (problems.length > 0)
    throw new SeprogError("CONFIG_INVALID", `invalid overrides:\n${problems.join("\n")}`);
  return overrides;
}

/** The source with overrides laid over it: later ones win, and errors in an overridden value name its origin. */
export function withOverrides(source: ConfigSource, overrides: readonly Override[]): ConfigSource {
  let value = source.value;
  for (const override of overrides) value = setAt(value, override.path, override.value);
  const originOf = (path: Path): string | undefined =>
    overrides.findLast((override) =>
      override.path.every((step, index) => String(path[index]) === String(step)),
    )?.origin;
  return {
    file: source.file,
    value,
    written: source.written,
    locate: (path) => originOf(path) ?? source.locate(path),
    locateKey: (path, key) =>
      originOf([...path, key]) ?? partialOrigin(overrides, [...path, key]) ?? source.locateKey(path, key),
  };
}

/** An unknown key on the way to an overridden value stands in no file: the override brought it. */
function partialOrigin(overrides: readonly Override[], path: Path): string | undefined {
  return overrides.findLast((override) =>
    path.every((step, index) => String(override.path[index]) === String(step)),
  )?.origin;
}

function setAt(target: unknown, path: Path, value: unknown): unknown {
  const [step, ...rest] = path;
  if (step === undefined) return value;
  if (Array.isArray(target)) {
    const copy: unknown[] = [...target];
    const index = Number(step);
    if (Number.isInteger(index) && index >= 0) {
      copy[index] = setAt(copy[index], rest, value);
      return copy;
    }
  }
  const entries = typeof target === "object" && target !== null ? { ...target } : {};
  return { ...entries, [step]: setAt(Reflect.get(entries, step), rest, value) };
}
