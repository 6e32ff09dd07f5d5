import { z } from "zod";
import { SeprogError } from "../errors.js";
import type { ConfigSource, Path } from "./source.js";
import { closest, didYouMean } from "./suggest.js";

type Issue = z.core.$ZodIssue;

/** The config with its defaults filled in. Throws CONFIG_INVALID with every error at once, each with its place. */
export function validateConfig<Schema extends z.ZodType>(
  schema: Schema,
  source: ConfigSource,
): z.output<Schema> {
  const problems: ConfigProblem[] = [];
  const config = checkConfig(schema, source, problems);
  if (config === undefined) throw configError(problems);
  return config;
}

/** The config with its defaults filled in, or undefined after adding what is wrong with it to `problems`. */
export function checkConfig<Schema extends z.ZodType>(
  schema: Schema,
  source: ConfigSource,
  problems: ConfigProblem[],
): z.output<Schema> | undefined {
  const result = schema.safeParse(source.value, { reportInput: true });
  if (result.success) return result.data;
  problems.push(...result.error.issues.flatMap((issue) => describe(issue, schema, source)));
  return undefined;
}

/** One error for all problems, in the order of their places; what was found more than once is told once. */
export function configError(problems: readonly ConfigProblem[]): SeprogError {
  const sorted = problems.toSorted((a, b) => a.place.localeCompare(b.place, "en", { numeric: true }));
  const lines = [...new Set(sorted.map(({ place, text }) => `  ${place}: ${text}`))];
  const count = lines.length === 1 ? "1 error" : `${lines.length} errors`;
  return new SeprogError("CONFIG_INVALID", `${count} in the configuration:\n${lines.join("\n")}`);
}

/** What is wrong, and `file:line` or the override it came from. */
export interface ConfigProblem {
  readonly place: string;
  readonly text: string;
}

function describe(issue: Issue, schema: z.ZodType, source: ConfigSource): ConfigProblem[] {
  const path = issue.path.map((step) => (typeof step === "symbol" ? String(step) : step));
  if (issue.code === "unrecognized_keys") {
    const known = keysAt(schema, source.value, path);
    return issue.keys.map((key) => ({
      place: source.locateKey(path, key),
      text: `unknown option \`${dotted(source.written([...path, key]))}\`${didYouMean(key, known) || `; known here: ${known.join(", ")}`}`,
    }));
  }
  const place = source.locate(path);
  // Rules over several options write their whole sentence.
  if (issue.code === "custom")
    return [{ place, text: `${issue.message} (\`${dotted(source.written(path))}\`)` }];
  const received = valueAt(source.value, path);
  const expected = expectation(issue, received, schema, source.value, path);
  return [
    {
      place,
      text: `expected ${expected} for \`${dotted(source.written(path))}\` but received ${show(received)}`,
    },
  ];
}

function expectation(issue: Issue, received: unknown, schema: z.ZodType, value: unknown, path: Path): string {
  switch (issue.code) {
    case "invalid_type":
      return article(issue.expected === "int" ? "integer" : issue.expected);
    case "invalid_value":
      return oneOf(issue.values.map(String), received);
    case "too_small":
      return issue.origin === "number" || issue.origin === "int"
        ? `a number ${issue.inclusive === false ? "above" : "of at least"} ${issue.minimum}`
        : `at least ${counted(Number(issue.minimum), issue.origin)}`;
    case "too_big":
      return issue.origin === "number" || issue.origin === "int"
        ? `a number ${issue.inclusive === false ? "below" : "of at most"} ${issue.maximum}`
        : `at most ${counted(Number(issue.maximum), issue.origin)}`;
    case "invalid_format":
      return issue.pattern === undefined ? `a valid ${issue.format}` : `text that matches ${issue.pattern}`;
    case "invalid_union":
      return issue.discriminator === undefined
        ? "a value of a known form"
        : oneOf(kindsAt(schema, value, path.slice(0, -1), issue.discriminator), received);
    case "invalid_key":
      return "names made of letters, digits, - and _";
    default:
      return issue.message;
  }
}

function counted(count: number, origin: string): string {
  const unit = origin === "string" ? "character" : "item";
  return count === 1 ? `one ${unit}` : `${count} ${unit}s`;
}

function oneOf(known: readonly string[], received: unknown): string {
  const guess = typeof received === "string" ? closest(received, known) : undefined;
  const list = known.map((value) => JSON.stringify(value)).join(", ");
  return `${known.length > 1 ? "one of " : ""}${list}${guess === undefined ? "" : ` (did you mean "${guess}"?)`}`;
}

function article(type: string): string {
  if (type === "record") return "an object";
  return /^[aeio]/.test(type) ? `an ${type}` : `a ${type}`;
}

function dotted(path: Path): string {
  return path.length === 0 ? "(the whole file)" : path.join(".");
}

function show(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

function valueAt(value: unknown, path: Path): unknown {
  let current = value;
  for (const step of path) {
    if (typeof current !== "object" || current === null) return undefined;
    current = Reflect.get(current, step);
  }
  return current;
}

/** Names that the schema knows at `path`, following the data where a union must choose. */
function keysAt(schema: z.ZodType, value: unknown, path: Path): string[] {
  const found = schemaAt(schema, value, path);
  const chosen = found instanceof z.ZodDiscriminatedUnion ? optionOf(found, valueAt(value, path)) : found;
  return chosen instanceof z.ZodObject ? Object.keys(chosen.shape) : [];
}

/** What the union at `path` may be discriminated by. */
function kindsAt(schema: z.ZodType, value: unknown, path: Path, discriminator: string): string[] {
  const union = schemaAt(schema, value, path);
  if (!(union instanceof z.ZodDiscriminatedUnion)) return [];
  return union.options.flatMap((option) => literalsOf(option, discriminator).map(String));
}

function schemaAt(schema: z.ZodType, value: unknown, path: Path): z.core.$ZodType | undefined {
  let current: z.core.$ZodType | undefined = unwrap(schema);
  path.forEach((step, index) => {
    if (current instanceof z.ZodDiscriminatedUnion)
      current = optionOf(current, valueAt(value, path.slice(0, index)));
    current = current && childOf(current, step);
  });
  return current;
}

function childOf(schema: z.core.$ZodType, step: string | number): z.core.$ZodType | undefined {
  if (schema instanceof z.ZodObject) {
    const child = Object.entries<z.core.$ZodType>(schema.shape).find(([key]) => key === step)?.[1];
    return child && unwrap(child);
  }
  if (schema instanceof z.ZodRecord) return unwrap(schema.valueType);
  if (schema instanceof z.ZodArray) return unwrap(schema.element);
  return undefined;
}

function optionOf(union: z.ZodDiscriminatedUnion, value: unknown): z.core.$ZodType | undefined {
  const key = union.def.discriminator;
  const wanted = valueAt(value, [key]);
  return union.options.find((option) => literalsOf(option, key).some((literal) => literal === wanted));
}

function literalsOf(option: z.core.$ZodType, key: string): z.core.util.Literal[] {
  const literal = childOf(option, key);
  return literal instanceof z.ZodLiteral ? [...literal.values] : [];
}

function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  return schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodNullable
    ? unwrap(schema.unwrap())
    : schema;
}
